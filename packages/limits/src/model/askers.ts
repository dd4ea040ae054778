/** Whether other jobs are there at all, which matters while something is suspected. Twin of `lua/askers.lua`. */
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { Closed, PoolState } from "./state.ts";

export function noteAsker({ breaker: limits }: Parameters, state: PoolState, job: string): void {
  const { breaker } = state;
  if (breaker.phase !== "closed" || !isWatched(breaker)) return;
  const askers = withAsker(limits, breaker.askers, job);
  if (askers !== breaker.askers) state.breaker = { ...breaker, askers };
}

/** A few are enough. */
export function withAsker(limits: BreakerLimits, askers: readonly string[], job: string): readonly string[] {
  const enough = askers.length >= Math.max(2, limits.suspectJobs);
  return enough || askers.includes(job) ? askers : [...askers, job];
}

export function isWatched({ run, suspects }: Closed): boolean {
  return run !== undefined || suspects.length > 0;
}
