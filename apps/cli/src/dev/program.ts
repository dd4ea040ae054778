/** The programs of the system as child processes that tell when they are ready and leave with their parent. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Where it listens, if it does. */
  readonly url: string | undefined;
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<void>;
  readonly running: boolean;
  /** Asks it to leave; kills it by its id when it has not within `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const readySchema = z.object({ type: z.literal("ready"), url: z.string().optional() });

/** Where the program of an app is: its source when this one runs from source, else its build. */
function entry(app: "worker" | "api" | "board"): string {
  const main = import.meta.url.endsWith(".ts") ? "src/main.ts" : "dist/main.js";
  return fileURLToPath(new URL(`../../../${app}/${main}`, import.meta.url));
}

/**
 * Starts a program and waits until it is ready. It logs to `<folder>/<name>.log`. It holds an IPC channel to this
 * process and leaves when that closes, so a killed parent leaves nothing behind.
 * @throws Error with the end of its log when it ends before it is ready.
 */
export async function startProgram(
  app: "worker" | "api" | "board",
  name: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Program> {
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const child: ChildProcess = fork(entry(app), [], {
    env: { ...withoutAws(process.env), ...env },
    stdio: ["ignore", log, log, "ipc"],
    // A process group of its own: Ctrl-C on the terminal reaches this process, which then stops all in order.
    detached: true,
    execArgv: process.execArgv,
  });
  closeSync(log);
  const ended = once(child, "exit").then(() => undefined);
  const url = await Promise.race([
    once(child, "message").then(([message]) => readySchema.parse(message).url),
    ended.then(() => {
      const tail = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n");
      throw new Error(`The ${name} ended before it was ready. Its log ends with:\n${tail}`);
    }),
  ]);
  return {
    name,
    pid: child.pid ?? 0,
    url,
    ended,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    async stop(graceMs) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** This machine's own AWS settings must not reach programs that are meant for the simulator. */
function withoutAws(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("AWS_")));
}
