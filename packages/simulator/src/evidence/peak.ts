/** Peaks over time: did a fleet ever take more than its quota within any window? */
import type { Call } from "./call.ts";

/** The fullest window of a pool. */
export interface Peak {
  readonly calls: number;
  /** What admission was asked for by the calls that started within one window. */
  readonly reservedTokens: number;
  /** What those calls cost in the end. */
  readonly settledTokens: number;
}

/** What one call adds to a figure. */
type Weigh = (call: Call) => number;

/**
 * The largest sum over admitted calls that started within any `windowMs`, whatever its boundaries.
 * Each figure has its own fullest window.
 */
export function peakOf(calls: readonly Call[], windowMs: number): Peak {
  const admitted = calls
    .filter((call) => call.admitted)
    .toSorted((left, right) => left.startedAt - right.startedAt);
  return {
    calls: peakBy(admitted, windowMs, () => 1),
    reservedTokens: peakBy(admitted, windowMs, (call) => call.reservedTokens),
    settledTokens: peakBy(admitted, windowMs, (call) => call.settledTokens),
  };
}

/** Peaks of every pool among the calls, by `region/model`. */
export function peaksByPool(calls: readonly Call[], windowMs: number): Record<string, Peak> {
  const pools = Object.groupBy(calls, (call) => `${call.region}/${call.model}`);
  return Object.fromEntries(Object.entries(pools).map(([pool, of = []]) => [pool, peakOf(of, windowMs)]));
}

function peakBy(calls: readonly Call[], windowMs: number, weigh: Weigh): number {
  let peak = 0;
  let sum = 0;
  let first = 0;
  for (const call of calls) {
    sum += weigh(call);
    for (let oldest = calls[first]; oldest !== undefined && oldest.startedAt <= call.startedAt - windowMs;) {
      sum -= weigh(oldest);
      first += 1;
      oldest = calls[first];
    }
    peak = Math.max(peak, sum);
  }
  return peak;
}
