/** The demo's figures, from the simulator's evidence alone. Pure. */
import { parseJobId } from "@sluice/job";
import { jobOf, type SimulatedCall } from "./evidence.ts";

const MINUTE_MS = 60_000;

/** What the limiter lets an idle pool save up: one second of 98.5 % of the quota. */
const BURST_MINUTES = 0.985 / 60;

/**
 * Settled tokens over quota x time, from the first admission until the last waiting job is admitted. The initial
 * burst is left out: it was saved up before. 0 while fewer than two jobs were admitted.
 */
export function quotaUtilisation(calls: readonly SimulatedCall[], tokensPerMinute: number): number {
  const admissions = [...firstAdmissions(calls).values()];
  const from = Math.min(...admissions);
  const to = Math.max(...admissions);
  if (admissions.length < 2 || to <= from) return 0;
  const settled = calls
    .filter(({ admitted, startedAt }) => admitted && startedAt <= to)
    .reduce((sum, { settledTokens }) => sum + settledTokens, 0);
  return (settled / tokensPerMinute - BURST_MINUTES) / ((to - from) / MINUTE_MS);
}

/** When the first call started; `undefined` before it ended. */
export function firstStart(calls: readonly SimulatedCall[]): number | undefined {
  return calls.length === 0 ? undefined : Math.min(...calls.map(({ startedAt }) => startedAt));
}

/** Settled tokens of the calls that ended within the last `windowMs`, over quota x that time. */
export function recentUtilisation(
  calls: readonly SimulatedCall[],
  tokensPerMinute: number,
  now: number,
  windowMs: number,
): number {
  if (windowMs <= 0) return 0;
  const settled = calls
    .filter(({ endedAt }) => endedAt > now - windowMs)
    .reduce((sum, { settledTokens }) => sum + settledTokens, 0);
  return settled / (tokensPerMinute * (windowMs / MINUTE_MS));
}

/** How long each job of a lane waited, from acceptance to its first admitted call, in order. Milliseconds. */
export function waitsOf(calls: readonly SimulatedCall[], lane: string): number[] {
  const waits: number[] = [];
  for (const [id, startedAt] of firstAdmissions(calls)) {
    const job = parseJobId(id);
    if (job?.lane === lane) waits.push(Math.max(0, startedAt - job.acceptedAt));
  }
  return waits.toSorted((a, b) => a - b);
}

/** The smallest value that at least `share` of the sorted values do not exceed; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Job id to the start of its first admitted call. */
function firstAdmissions(calls: readonly SimulatedCall[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const call of calls) {
    const id = jobOf(call);
    if (id === undefined || !call.admitted) continue;
    first.set(id, Math.min(call.startedAt, first.get(id) ?? Infinity));
  }
  return first;
}
