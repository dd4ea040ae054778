/** The programs of a deployment, run to their end: for those that shall not come up. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const app = (name: string): URL => new URL(`../../apps/${name}/src/main.ts`, import.meta.url);

export const PROGRAMS: Readonly<Record<"api" | "board" | "worker" | "cli", URL>> = {
  api: app("api"),
  board: app("board"),
  worker: app("worker"),
  cli: app("cli"),
};

/** How a program that was run to its end came out of it. */
export interface Ran {
  readonly code: number | null;
  /** All that it printed. */
  readonly text: string;
}

/** A program that ends by itself is given this long, milliseconds. */
const RUN_MS = 30_000;
/** And one that goes on, to say anything at all, and after its first words to say what is wrong. */
const BRIEF_MS = 20_000;
const HEARD_MS = 4_000;
/** The first error is often followed by one that says more. */
const MORE_MS = 500;

/** Runs a program until it ends, or for half a minute. */
export async function runToEnd(
  file: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  const child = launch(file, args, env);
  const printed = listen(child, () => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS);
  await once(child, "close");
  clearTimeout(timer);
  return { code: child.exitCode, text: printed() };
}

/** Runs a program until it has said that something is wrong, and ends it. Resolves to what it printed. */
export async function runBriefly(file: URL, env: Readonly<Record<string, string>>): Promise<string> {
  const child = launch(file, [], env);
  const spoken = Promise.withResolvers<void>();
  let heard: NodeJS.Timeout | undefined;
  const printed = listen(child, (text) => {
    heard ??= setTimeout(spoken.resolve, HEARD_MS);
    if (/error|Expected|cannot|fail/i.test(text)) setTimeout(spoken.resolve, MORE_MS);
  });
  const ended = once(child, "close");
  const late = new AbortController();
  const silent = sleep(BRIEF_MS, undefined, { signal: late.signal }).catch(() => {});
  await Promise.race([ended, spoken.promise, silent]);
  late.abort();
  child.kill("SIGKILL");
  await ended;
  return printed();
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

function launch(file: URL, args: readonly string[], env: Readonly<Record<string, string>>): Child {
  return spawn(process.execPath, ["--conditions=@sluice/source", fileURLToPath(file), ...args], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function listen({ stdout, stderr }: Child, onText: (text: string) => void): () => string {
  let text = "";
  for (const stream of [stdout, stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += String(chunk);
      onText(text);
    });
  }
  return () => text;
}
