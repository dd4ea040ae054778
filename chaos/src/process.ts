/**
 * A program as a real child process: what it logs, when it is ready, how it ends. It leaves when its tie to this
 * process breaks, so a killed parent leaves nothing behind.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const lineSchema = z.looseObject({ msg: z.string() });
/** A line of the log: the event's name is its `msg`. */
export type LogLine = z.infer<typeof lineSchema>;

const readySchema = z.object({ url: z.string().optional() });

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Started {
  readonly pid: number;
  /** Where it listens; `undefined` for a program that does not, or has ended before it was ready. */
  readonly url: string | undefined;
  /** Resolves when it has ended and everything it said was read. */
  readonly exit: Promise<Exit>;
  /** Whether it still runs. */
  readonly running: boolean;
  /** Everything it wrote to stdout and stderr so far. */
  readonly text: string;
  /** The lines of its log so far. */
  readonly lines: readonly LogLine[];
  /** Resolves to the first line, past or future, that satisfies `test`; rejects when the process ends without it. */
  logged(what: string, test: (line: LogLine) => boolean): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /** Closes its tie to this process, as the end of this process would. */
  disconnect(): void;
}

/**
 * Starts a program and waits until it says that it is ready, or has ended.
 * @param nodeArgs further options of its Node. Default: none.
 */
export async function startProcess(
  file: URL,
  env: Readonly<Record<string, string>>,
  nodeArgs: readonly string[] = [],
): Promise<Started> {
  const child = fork(fileURLToPath(file), [], {
    env: { PATH: process.env["PATH"], ...env },
    execArgv: ["--conditions=@sluice/source", ...nodeArgs],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("fork gave no pipes");
  let text = "";
  const lines: LogLine[] = [];
  const heard = new Set<(line: LogLine) => void>();
  createInterface({ input: stdout }).on("line", (line) => {
    text += `${line}\n`;
    const parsed = lineSchema.parse(JSON.parse(line));
    lines.push(parsed);
    for (const listener of heard) listener(parsed);
  });
  stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const exit = Promise.all([once(child, "exit"), once(stdout, "close"), once(stderr, "close")]).then(() => ({
    code: child.exitCode,
    signal: child.signalCode,
  }));
  const url = await Promise.race([
    once(child, "message").then(([message]) => readySchema.parse(message).url),
    exit.then(() => undefined),
  ]);
  return {
    pid: child.pid ?? 0,
    url,
    exit,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    get text() {
      return text;
    },
    lines,
    async logged(what, test) {
      const before = lines.find(test);
      if (before !== undefined) return before;
      const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
      const listener = (line: LogLine): void => {
        if (test(line)) resolve(line);
      };
      heard.add(listener);
      void exit.then(() => reject(new Error(`The process ended before it logged ${what}:\n${text}`)));
      return promise.finally(() => heard.delete(listener));
    },
    kill(signal) {
      child.kill(signal);
    },
    disconnect() {
      child.disconnect();
    },
  };
}
