/** The time a model takes: a wait for the first token, then a steady flow. */
import type { Clock } from "../clock.ts";
import type { Model } from "../models/model.ts";
import { lognormal, type Random } from "../random.ts";

/** The speed of one call, already scaled. */
export interface Pace {
  readonly firstTokenMs: number;
  readonly perTokenMs: number;
}

/** Draws the speed of one call. `timeScale` multiplies both waits; 0 means no waiting at all. */
export function drawPace(latency: Model["latency"], timeScale: number, random: Random): Pace {
  return {
    firstTokenMs: lognormal(latency.timeToFirstTokenMs, latency.sigma, random) * timeScale,
    perTokenMs: (1_000 / lognormal(latency.tokensPerSecond, latency.sigma, random)) * timeScale,
  };
}

/**
 * Lets `tokens` appear over time, `step` at once, and yields how many there are. Ends early when `signal` aborts.
 * Waits for points in time, not for lengths of time: late timers do not add up.
 */
export async function* generate(
  pace: Pace,
  tokens: number,
  step: number,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  const startedAt = clock.now();
  for (let done = Math.min(step, tokens); ; done = Math.min(done + step, tokens)) {
    const dueMs = pace.firstTokenMs + done * pace.perTokenMs;
    if (dueMs > 0) await clock.sleep(startedAt + dueMs - clock.now(), signal);
    if (signal.aborted) return;
    yield done;
    if (done === tokens) return;
  }
}
