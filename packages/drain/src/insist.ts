/** Trying again until it works: for what must not be lost while Redis is away. */
import { localTime, NewerVersionError, type Emit, type Sleep } from "@sluice/job";
import { describe } from "./describe.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export interface InsistOptions {
  /** What is tried, for those who hear of its failures. */
  readonly part: string;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** How often at most. Default: until it works. */
  readonly tries?: number;
  /** Default: this process's. */
  readonly sleep?: Sleep;
}

/**
 * Repeats `operation` until it resolves. Every failure is told as a `worker:error` of `part`.
 * @throws the last error once the signal has fired (the process has no more time), or the tries are used up; at once when
 * it is about a record of a newer version, which asking again will not change.
 */
export async function insist<T>(
  operation: () => Promise<T>,
  { part, signal, emit, tries = Infinity, sleep = localTime.sleep }: InsistOptions,
): Promise<T> {
  let pauseMs = FIRST_PAUSE_MS;
  for (let tried = 1; ; tried += 1) {
    try {
      return await operation();
    } catch (error) {
      if (error instanceof NewerVersionError) throw error;
      emit("worker:error", { part, error: describe(error) });
      if (signal.aborted || tried >= tries) throw error;
      await sleep(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}
