/** A job's deadline as a signal. Its timer is cleared: one of `AbortSignal.timeout` would keep what waits for it in memory. */
import type { Clock } from "@sluice/job";

/** Node's timers wrap around beyond this. Nothing here waits that long. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Deadline {
  /** Fires at the deadline. */
  readonly signal: AbortSignal;
  /** Nobody waits for it any more. */
  readonly clear: () => void;
}

/** @param deadlineAt milliseconds since the epoch. */
export function openDeadline(deadlineAt: number, clock: Clock): Deadline {
  const late = new AbortController();
  const leftMs = Math.min(Math.max(0, deadlineAt - clock()), LONGEST_TIMER_MS);
  const timer = setTimeout(() => late.abort(), leftMs);
  return { signal: late.signal, clear: () => clearTimeout(timer) };
}
