/** Whether other jobs, and other processes, are there at all, which matters while something is suspected. Twin of `lua/askers.lua`. */
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { Closed, PoolState } from "./state.ts";

/** @param process the caller's name; '' if it has none. */
export function noteAsker(
  { breaker: limits }: Parameters,
  state: PoolState,
  job: string,
  process: string,
): void {
  const { breaker } = state;
  if (breaker.phase !== "closed" || !isWatched(breaker)) return;
  const askers = withAsker(limits, breaker.askers, job);
  const processes = withProcess(breaker.processes, process);
  state.breaker = { ...breaker, askers, processes };
}

/** Enough to find one among them that was not denied. */
const PROCESSES_MOST = 4;

function withProcess(processes: readonly string[], process: string): readonly string[] {
  const enough = process === "" || processes.length >= PROCESSES_MOST;
  return enough || processes.includes(process) ? processes : [...processes, process];
}

/** A few are enough. */
export function withAsker(limits: BreakerLimits, askers: readonly string[], job: string): readonly string[] {
  const enough = askers.length >= Math.max(2, limits.suspectJobs);
  return enough || askers.includes(job) ? askers : [...askers, job];
}

export function isWatched({ run, suspects }: Closed): boolean {
  return run !== undefined || suspects.length > 0;
}
