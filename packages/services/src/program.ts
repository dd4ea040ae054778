/**
 * A Node program of this package as a child that cannot outlive us.
 *
 * The tie is its stdin: a pipe whose other end only this process holds. However this process ends, by a
 * return, a signal or SIGKILL, the system closes the pipe, and every program started here then ends itself.
 * The same closing is how `stop` asks. A program reports that it is ready with one line of JSON on stdout.
 */
import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { ServicesError } from "./errors.ts";

/** Programs end a service with SIGTERM and, after their own bound, SIGKILL; this waits a little longer. */
const STOP_TIMEOUT_MS = 8_000;

const LOG_LINES_SHOWN = 25;

export interface ProgramSpec<Ready> {
  /** For messages, e.g. `Redis`. */
  readonly name: string;
  /** File in this folder, without its ending. */
  readonly entry: "guard-main" | "dynalite-main" | "simulator-main";
  readonly args: readonly string[];
  /** Gets what the program and its service print, appended. */
  readonly logFile: string;
  /** Schema of the line that says ready. */
  readonly ready: z.ZodType<Ready>;
}

export interface ProgramEnd {
  /** How, e.g. `exit code 1`. */
  readonly how: string;
  /** The signal that ended it; null if it ended by itself. */
  readonly signal: NodeJS.Signals | null;
}

export interface Program<Ready> {
  readonly pid: number;
  readonly ready: Ready;
  /** Resolves when the program has ended. Never rejects. */
  readonly ended: Promise<ProgramEnd>;
  /** Rejects with an EXITED error, the last log lines included, when the program ends. Never resolves. */
  failure(): Promise<never>;
  /** Closes its stdin and waits for its end, bounded; then SIGKILL by pid. */
  stop(): Promise<void>;
}

/**
 * Starts a program and waits for its ready line.
 * @throws ServicesError EXITED or NOT_READY.
 */
export async function startProgram<Ready>(
  spec: ProgramSpec<Ready>,
  readyTimeoutMs: number,
): Promise<Program<Ready>> {
  const log = await open(spec.logFile, "a", 0o600);
  // Run from source our own files end in .ts, and workspace packages must resolve to source as well.
  const source = import.meta.url.endsWith(".ts");
  const file = new URL(`./${spec.entry}.${source ? "ts" : "js"}`, import.meta.url);
  const child = spawn(
    process.execPath,
    [...(source ? ["--conditions=@sluice/source"] : []), fileURLToPath(file), ...spec.args],
    // Detached: a process group of its own, so Ctrl-C on the terminal reaches the app and not its database.
    { stdio: ["pipe", "pipe", log.fd], detached: true },
  );
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("spawn gave no pipes");
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once("error", (error) => {
      resolve({ how: error.message, signal: null });
    });
    child.once("exit", (code, signal) => {
      resolve({ how: signal === null ? `exit code ${String(code)}` : `signal ${signal}`, signal });
    });
  });
  await log.close();
  // A program that died leaves a broken pipe; `ended` tells.
  stdin.on("error", () => {});

  const stop = async (): Promise<void> => {
    stdin.end();
    const timer = new AbortController();
    const outcome = await Promise.race([
      ended,
      delay(STOP_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    if (outcome === undefined) child.kill("SIGKILL");
    await ended;
  };
  const failure = async (): Promise<never> => {
    const { how } = await ended;
    throw new ServicesError(
      "EXITED",
      `${spec.name} ended by itself (${how}).${await lastLines(spec.logFile)}`,
    );
  };

  const lines = createInterface({ input: stdout });
  const firstLine = new Promise<string>((resolve) => {
    lines.once("line", resolve);
  });
  try {
    const line = await within(readyTimeoutMs, spec, Promise.race([firstLine, failure()]));
    return { pid: child.pid ?? 0, ready: spec.ready.parse(JSON.parse(line)), ended, failure, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Waits for `work`, bounded.
 * @throws ServicesError NOT_READY, with the last log lines, after `timeoutMs`.
 */
export async function within<T>(
  timeoutMs: number,
  spec: { readonly name: string; readonly logFile: string },
  work: Promise<T>,
): Promise<T> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      work,
      delay(timeoutMs, undefined, { signal: timer.signal }).then(async () => {
        const seconds = String(timeoutMs / 1000);
        const log = await lastLines(spec.logFile);
        throw new ServicesError("NOT_READY", `Expected ${spec.name} to be ready within ${seconds} s.${log}`);
      }),
    ]);
  } finally {
    timer.abort();
  }
}

async function lastLines(logFile: string): Promise<string> {
  const text = (await readFile(logFile, "utf8").catch(() => "")).trimEnd();
  if (text === "") return ` It logged nothing (${logFile}).`;
  const lines = text.split("\n").slice(-LOG_LINES_SHOWN);
  return [` Last lines of ${logFile}:`, ...lines].join("\n  ");
}
