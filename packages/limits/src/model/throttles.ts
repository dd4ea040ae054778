/**
 * What a throttle says. Most often the quota: the ceiling is cut. But a healthy service throttles a few percent of all
 * calls at any rate, and there cutting and pausing cost everything and help nothing. The two look alike; what tells them
 * apart is a trial: while the ceiling is cut, the share of calls refused is counted; then one refusal that comes alone
 * sets the ceiling back to 1. If calls are refused no more often than before, cutting did not help, and refusals are
 * tolerated until they come more often. Otherwise the ceiling is put back, and the next trial is much later.
 * Twin of `lua/throttles.lua`.
 */
import type { Cost, Dimension } from "../cost.ts";
import type { LimitsChange } from "../limiter.ts";
import type { CeilingLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { cut, grow } from "./ceiling.ts";
import { ratesOf, type DimensionState, type PoolState, type Refusals } from "./state.ts";

/** A call that was refused. */
export interface Refusal {
  /** The dimension that the server named. */
  readonly named: Dimension | undefined;
  readonly cost: Cost;
  readonly startAt: number;
}

/** A call was let go. Shares are counted by starts: refused calls end first, slow ones seconds later. */
export function countCall(parameters: Parameters, state: PoolState): void {
  for (const { refusals } of Object.values(state.dimensions)) {
    if (!refusals) continue;
    const { lateWeight, countMost } = parameters.ceiling;
    refusals.late *= 1 - lateWeight;
    refusals.calls += 1;
    // What is tolerated must not be so long ago that a change drowns in it.
    if (refusals.trialAt > 0 && refusals.calls >= countMost) {
      refusals.calls /= 2;
      refusals.throttles /= 2;
    }
  }
}

/**
 * A throttle: cuts the dimension that the server named, or the one that looks guilty.
 * @returns whether it is a sign of the quota; if not, the call has cost nothing.
 */
export function refuse(parameters: Parameters, state: PoolState, refusal: Refusal, now: number): boolean {
  if (isTooLarge(parameters.ceiling, state, refusal.cost, now)) return false;
  const { named, startAt } = refusal;
  const rates = [...ratesOf(parameters, state)];
  const counted = rates.some(({ dimension }) => dimension === named);
  const emptiest = Math.min(...rates.map(({ at, capacity }) => at.level / capacity));
  // Named but not ours to count, or none of them near empty: any of them may be the one.
  const unsure = named !== undefined || emptiest > parameters.ceiling.unsureAbove;
  let sign = rates.length === 0;
  for (const { dimension, at, capacity } of rates) {
    const guilty = counted ? dimension === named : unsure || at.level / capacity <= emptiest;
    if (!guilty || isTolerated(parameters.ceiling, at, startAt, now)) continue;
    sign = true;
    cut(parameters.ceiling, at, parameters.rates[dimension]?.perMs ?? 0, now);
  }
  return sign;
}

function isTolerated(limits: CeilingLimits, at: DimensionState, startAt: number, now: number): boolean {
  const refusals = (at.refusals ??= newRefusals(limits, now));
  // Started before the trial: says nothing about it.
  if (refusals.trialAt > 0 && startAt <= refusals.trialAt) return true;
  refusals.late += limits.lateWeight * (1 - refusals.late);
  const quietMs = now - refusals.heardAt;
  refusals.heardAt = now;
  if (quietMs > limits.quietMs) {
    if (quietMs > limits.forgetMs) refusals.trialWaitMs = limits.trialWaitMs;
    startCounting(refusals, now);
    return false;
  }
  refusals.throttles += 1;
  return refusals.trialAt > 0 ? passes(limits, at, refusals, now) : tries(limits, at, refusals, now);
}

/** Begins a trial, if it is time for one. */
function tries(limits: CeilingLimits, at: DimensionState, refusals: Refusals, now: number): boolean {
  if (now < refusals.trialDueAt || refusals.late >= limits.aloneShare) return false;
  // More than was seen, by what chance may have hidden: few calls say little.
  const { throttles, calls } = refusals;
  refusals.base = (throttles + 1 + Math.sqrt(throttles)) / Math.max(1, calls);
  if (refusals.base > limits.tolerableShare) return false;
  refusals.trialAt = now;
  refusals.passed = false;
  refusals.calls = 0;
  refusals.throttles = 0;
  at.ceiling = 1;
  return true;
}

/** Whether calls are refused no more often than before. If not, the trial is over. */
function passes(limits: CeilingLimits, at: DimensionState, refusals: Refusals, now: number): boolean {
  const { calls, throttles, trialAt } = refusals;
  if (!refusals.passed && now - trialAt >= limits.trialMs && calls >= limits.trialCalls) {
    refusals.passed = true;
    refusals.base = throttles / calls;
  }
  const most = limits.spareThrottles + limits.moreThanBefore * refusals.base * calls;
  if (refusals.late < limits.clusterShare && throttles <= most) return true;
  if (refusals.passed) {
    refusals.trialWaitMs = limits.trialWaitMs;
  } else {
    refusals.trialWaitMs = Math.min(limits.trialWaitMostMs, refusals.trialWaitMs * limits.trialWaitGrowth);
    // The ceiling goes on where it was, as if there had been no trial.
    at.cutAt += now - trialAt;
    grow(limits, at, now);
  }
  startCounting(refusals, now);
  return false;
}

function startCounting(refusals: Refusals, now: number): void {
  refusals.trialAt = 0;
  refusals.trialDueAt = now + refusals.trialWaitMs;
  refusals.calls = 0;
  refusals.throttles = 0;
}

/** `heardAt` of long ago: the first throttle starts the counting. */
function newRefusals(limits: CeilingLimits, now: number): Refusals {
  const heardAt = now - limits.forgetMs - 1;
  return {
    late: 0,
    calls: 0,
    throttles: 0,
    base: 0,
    trialAt: 0,
    trialDueAt: 0,
    trialWaitMs: limits.trialWaitMs,
    heardAt,
    passed: false,
    doubted: false,
  };
}

/** A call was answered: remembers its size. */
export function notePassed(parameters: Parameters, state: PoolState, cost: Cost, now: number): void {
  const size = sizeOf(cost);
  const largest = Math.max(size, largestPassed(parameters.ceiling, state, now));
  state.passed = { largest, at: now };
}

/** The largest reservation that was answered lately, in tokens; forgotten bit by bit. 0: none. */
export function largestPassed(limits: CeilingLimits, { passed }: PoolState, now: number): number {
  return passed ? passed.largest * 0.5 ** ((now - passed.at) / limits.passedHalfMs) : 0;
}

/** Smaller calls pass, so it is this call that does not fit: the ceiling has nothing to learn from it. */
function isTooLarge(limits: CeilingLimits, state: PoolState, cost: Cost, now: number): boolean {
  if (!state.passed || now - state.passed.at > limits.passedLateMs) return false;
  // More than a little larger: calls of one size must not look large to each other while the memory fades.
  return sizeOf(cost) > limits.largerThanPassed * largestPassed(limits, state, now);
}

function sizeOf(cost: Cost): number {
  return cost.tokens ?? (cost["input-tokens"] ?? 0) + (cost["output-tokens"] ?? 0);
}

/** News when the quota turns out to be far above what the server gives, and when that is over. */
export function doubtQuotas(
  parameters: Parameters,
  state: PoolState,
  pool: string,
  now: number,
): readonly LimitsChange[] {
  const changes: LimitsChange[] = [];
  for (const { dimension, at, perMs } of ratesOf(parameters, state)) {
    const { refusals, ceiling } = at;
    if (!refusals) continue;
    const limits = parameters.ceiling;
    const doubtful = refusals.doubted ? ceiling < limits.trustAbove : isDoubtful(limits, at, refusals, now);
    if (doubtful === refusals.doubted) continue;
    refusals.doubted = doubtful;
    const perMinute = Math.round(perMs * 60_000);
    changes.push({ type: "quota-doubtful", pool, dimension, doubtful, ceiling, perMinute });
  }
  return changes;
}

/** Little is left of the rate, or most calls of a minute and more were refused. */
function isDoubtful(limits: CeilingLimits, at: DimensionState, refusals: Refusals, now: number): boolean {
  if (at.ceiling <= limits.doubtBelow && refusals.late > 0.001) return true;
  const { calls, throttles, trialAt, trialDueAt, trialWaitMs } = refusals;
  const countedMs = now - (trialDueAt - trialWaitMs);
  return trialAt === 0 && countedMs >= 60_000 && calls >= 20 && throttles > calls / 2;
}
