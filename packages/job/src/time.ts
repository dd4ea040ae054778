/** Time and chance as arguments, so that every decision can be repeated in a test. */
import { setTimeout as wait } from "node:timers/promises";

/** Milliseconds since the epoch. */
export type Clock = () => number;

/** Resolves after `ms` at the latest, or as soon as the signal fires. Never rejects: the caller looks at its signal. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/**
 * Time as the parts of a program get it. What is stored, or judged by what somebody stored, goes by `clock`: the processes
 * of a deployment run on machines whose clocks differ, and this one they share. What one process waits for, or measures for
 * itself, goes by `monotonic` and `sleep`, which no change of any clock touches.
 */
export interface Time {
  /** The time that all processes share: that of Redis. */
  readonly clock: Clock;
  /** Milliseconds that only go forward. Differences alone mean something. */
  readonly monotonic: () => number;
  readonly sleep: Sleep;
}

/** The time of this process alone. */
export type LocalTime = Omit<Time, "clock">;

/** Node's timers fire at once beyond this, milliseconds. Who waits for longer looks again after it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A process's own. */
export const localTime: LocalTime = {
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    if (ms <= 0) return;
    const timerMs = Math.min(ms, LONGEST_TIMER_MS);
    await wait(timerMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  },
};

/** All of it by this machine. Where programs share more than a machine, the clock is Redis's instead. */
export const machineTime: Time = { ...localTime, clock: Date.now };

/** A number in [0, 1). */
export type Random = () => number;

/** The longest that AWS lets an inference take, milliseconds. */
export const LONGEST_CALL_MS: number = 60 * 60_000;

/** What a slow model needs for a token of its answer, milliseconds: 20 tokens a second. */
export const SLOW_TOKEN_MS = 50;
