/**
 * What the calls of a closed pool add up to: an outage, denied access, or nothing. Twin of `lua/evidence.lua`.
 *
 * An outage is either a spell of starts that failed (`starts.ts`), for pools with traffic, or failures in a row, for those
 * with little. Both count calls that are still out: failures are heard of sooner than answers.
 */
import type { SettleOutcome } from "../limiter.ts";
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { elsewhereAnsweredAt, othersAnsweredAt, type Answered } from "./answers.ts";
import { isWatched, withAsker } from "./askers.ts";
import { doubt, hearCanary, hearProbe, noteFailed, open } from "./breaker.ts";
import { LET_IN_MS } from "./probes.ts";
import { countFailure, spellFailed, uncountStart, type Starts } from "./starts.ts";
import type { Closed, PoolState, Reservation, Run, Suspect } from "./state.ts";

/** What a call found out. */
export interface Finding {
  readonly id: string;
  readonly job: string;
  readonly operation: string;
  readonly epoch: number;
  readonly startAt: number;
  readonly probe: boolean;
  /** The process that called; '' if it has no name. */
  readonly process: string;
  readonly outcome: SettleOutcome;
  /** Of a failure. */
  readonly weight: number;
}

/** What is remembered beside the state. */
export interface Memory {
  readonly starts: Starts;
  readonly answers: readonly Answered[];
  /** Calls that are out. */
  readonly out: ReadonlyMap<string, Reservation>;
}

/** Moves the breaker by what a settled call found out. */
export function hear(parameters: Parameters, state: PoolState, memory: Memory, finding: Finding): void {
  const { breaker } = state;
  if (breaker.phase === "closed") {
    // Calls admitted before the last opening say nothing about the pool as it is now.
    if (finding.epoch === breaker.epoch) hearWhileClosed(parameters, state, breaker, memory, finding);
    return;
  }
  if (isFailure(finding.outcome)) noteFailed(parameters.breaker, state, finding.job);
  hearProbe(parameters.breaker, state, finding);
  hearCanary(parameters.breaker, state, finding);
}

function isFailure(outcome: SettleOutcome): boolean {
  return outcome === "failed" || outcome === "timeout";
}

function hearWhileClosed(
  parameters: Parameters,
  state: PoolState,
  breaker: Closed,
  memory: Memory,
  finding: Finding,
): void {
  switch (finding.outcome) {
    case "ok":
      state.breaker = answered(parameters, breaker, finding, state.at);
      return;
    case "failed":
    case "timeout":
      return fail(parameters, state, breaker, memory, finding);
    case "throttled":
      state.breaker = acquitted(breaker, finding.operation);
      return uncountStart(parameters, memory.starts, finding.startAt);
    case "systemic":
      uncountStart(parameters, memory.starts, finding.startAt);
      return suspect(parameters, state, breaker, memory, finding);
    case "neutral":
      return uncountStart(parameters, memory.starts, finding.startAt);
  }
}

function answered({ silenceMs }: Parameters, breaker: Closed, finding: Finding, now: number): Closed {
  const { run, answeredAt, answeringSince } = breaker;
  return acquitted(
    {
      ...breaker,
      answeredAt: now,
      answeringSince: now - answeredAt >= silenceMs ? now : answeringSince,
      run: run && finding.startAt >= run.since ? undefined : run,
    },
    finding.operation,
  );
}

/** The operation may be called. */
function acquitted(breaker: Closed, operation: string): Closed {
  const left = { ...breaker, suspects: breaker.suspects.filter((one) => one.operation !== operation) };
  return isWatched(left) ? left : { ...left, askers: [], processes: [] };
}

function fail(
  parameters: Parameters,
  state: PoolState,
  breaker: Closed,
  { starts, answers, out }: Memory,
  { job, operation, startAt, weight }: Finding,
): void {
  // It started before the pool answered again: it is about a silence that is over.
  if (startAt < breaker.answeringSince) return;
  const { breaker: limits } = parameters;
  // One job that fails again and again is one failure of the spell, or a fast one among slow jobs would be all of it.
  if (breaker.failedLast === job) uncountStart(parameters, starts, startAt);
  else countFailure(parameters, starts, startAt, weight);
  const fresh = { since: startAt, failures: 0, jobs: [], alone: out.size === 0 };
  const run = lengthened(limits, breaker.run ?? fresh, job, weight);
  const askers = withAsker(limits, breaker.askers, job);
  state.breaker = { ...breaker, run, askers, failedLast: job };
  const others = othersAnsweredAt(answers, { operation, job }).pool;
  const alone = run.alone && askers.length <= 1 && state.at - others >= limits.forgetMs;
  const long = rowOf(limits, run, alone) >= limits.failures;
  // Calls that started before and are still out may all be answered: wait for most of them.
  const inRow = long && !areMoreOut(out, { from: -Infinity, to: startAt }, run.failures / limits.outWeight);
  if (inRow || spellFailed(parameters, starts, startAt)) open(limits, state);
}

/**
 * Whether more than so many calls that started in that time are still out. By their starts, since calls differ in how long
 * they may last; no further than it takes to know, since there may be thousands.
 */
function areMoreOut(
  out: Memory["out"],
  { from, to }: { readonly from: number; readonly to: number },
  most: number,
): boolean {
  let count = 0;
  for (const { startAt } of out.values()) {
    if (startAt > from && startAt <= to) count += 1;
    if (count > most) return true;
  }
  return false;
}

function lengthened(limits: BreakerLimits, run: Run, job: string, weight: number): Run {
  const known = run.jobs.some((one) => one.job === job);
  const added = !known && run.jobs.length < 2 * limits.failures ? [{ job, failures: 0 }] : [];
  const jobs = [...run.jobs, ...added].map((one) =>
    one.job === job ? { job, failures: one.failures + weight } : one,
  );
  return { ...run, failures: run.failures + weight, jobs };
}

/** The failures in a row that count: no job's for more than half of what opens, unless there is no other job. */
function rowOf({ failures }: BreakerLimits, { jobs }: Run, alone: boolean): number {
  const most = alone ? Infinity : Math.ceil(failures / 2);
  return jobs.reduce((sum, one) => sum + Math.min(one.failures, most), 0);
}

function suspect(
  parameters: Parameters,
  state: PoolState,
  breaker: Closed,
  { answers, out }: Memory,
  { job, operation, process, startAt }: Finding,
): void {
  const { breaker: limits } = parameters;
  const { at: now } = state;
  const since = breaker.suspects.find((one) => one.operation === operation)?.since ?? now;
  const one: Suspect = { job, operation, process, at: now, since };
  const suspects = [...breaker.suspects, one].slice(-limits.suspectsKept);
  const askers = withAsker(limits, breaker.askers, job);
  state.breaker = { ...breaker, suspects, askers };
  if (!areEnough(limits, { suspects, askers }, operation)) return;
  // What answers other operations need not be stopped because of one that nobody may call: see `denied.ts`.
  if (isAnsweredElsewhere(answers, suspects, operation)) return;
  // Denials are heard of at once, answers later. Calls that started before this one may be answered yet: wait for them,
  // but no longer than a denial takes. Those that are out after that were let in.
  const to = now - since < LET_IN_MS ? startAt : now - LET_IN_MS;
  if (!areMoreOut(out, { from: now - limits.forgetMs, to }, 0)) doubt(state);
}

/** Whether another operation was answered since this one was denied. */
export function isAnsweredElsewhere(
  answers: readonly Answered[],
  suspects: readonly Suspect[],
  operation: string,
): boolean {
  const first = suspects.find((one) => one.operation === operation);
  return elsewhereAnsweredAt(answers, operation) > (first?.at ?? 0);
}

/** Whether so many calls of the operation were denied, of so many jobs, that it is no job's own mistake. */
export function areEnough(
  limits: BreakerLimits,
  { suspects, askers }: Pick<Closed, "suspects" | "askers">,
  operation: string,
): boolean {
  const same = suspects.filter((one) => one.operation === operation);
  const jobs = new Set(same.map((one) => one.job)).size;
  return same.length >= limits.suspects && jobs >= Math.min(limits.suspectJobs, askers.length);
}
