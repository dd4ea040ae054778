/**
 * The life of a program: it starts or says why not, and leaves once, in order, on the signals of an operator and when
 * the process that started it is gone.
 */
import { scrubError, scrubText } from "@sluice/job";
import { assertNode } from "./node-version.ts";

/**
 * Runs a program's start. What it throws becomes one message for the operator, without a stack trace, and exit code 1:
 * a variable that is missing is no bug to be traced.
 */
export async function runProgram(name: string, start: () => Promise<void>): Promise<void> {
  tellUncaught(name);
  try {
    assertNode();
    await start();
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? scrubText(error.message) : describe(error)}\n`);
    process.exit(1);
  }
}

/**
 * Ends the program on what nobody catches, and prints what may be told of it. Node itself would print every field of the
 * error, passwords of commands and bodies of requests among them.
 */
export function tellUncaught(name: string): void {
  process.on("uncaughtException", (error) => {
    const { name: kind, message, stack = "" } = scrubError(error);
    process.stderr.write(`${name}: ${kind}: ${message}\n${stack}\n`);
    process.exit(1);
  });
}

function describe(thrown: unknown): string {
  return scrubError(thrown).message;
}

/**
 * Calls `stop` once on SIGTERM, SIGINT or the loss of the parent's IPC channel, then exits: 0, or 1 when `stop`
 * rejects. A second signal exits at once.
 */
export function leaveOnSignal(stop: () => Promise<void>): void {
  let leaving = false;
  const leave = (): void => {
    if (leaving) process.exit(1);
    leaving = true;
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on("SIGTERM", leave).on("SIGINT", leave).on("disconnect", leave);
  // The parent may have gone while our modules loaded: nobody heard that event.
  if (process.send !== undefined && !process.connected) leave();
}

/** What a program tells the process that started it over IPC. */
export interface Ready {
  readonly type: "ready";
  /** Where it listens, if it does. */
  readonly url?: string;
}

/** Tells the parent, if there is one that listens, that this program does its work now. */
export function tellParent(ready: Ready): void {
  if (process.connected) process.send?.(ready);
}
