/**
 * What is kept of a pool. The functions in this folder are the algorithm of `lua/`, one file for one file and
 * name for name; the model test holds the two together. They change the state they are given; time is an
 * argument and everything else is data.
 */
import { rateDimensions, type Cost, type RateDimension } from "../cost.ts";
import type { Parameters } from "../parameters.ts";

export interface DimensionState {
  /** What may be spent now, in units. Below zero: work promised ahead, and debts. */
  level: number;
  /** Fraction of the rate in use, at most 1. */
  ceiling: number;
  /** Where the curve of the ceiling levels out: what was throttled last. */
  peak: number;
  /** Where the curve began, right after the last cut. */
  floor: number;
  cutAt: number;
  /** Cuts in a row. */
  cuts: number;
  /** What is known of refused calls. Absent: none was. */
  refusals?: Refusals;
}

/** How often calls are refused, and whether cutting helps. */
export interface Refusals {
  /** Share of the latest starts. */
  late: number;
  /** Calls started, and refused, since the counting began: with the trial, or after it. */
  calls: number;
  throttles: number;
  /** The share refused before the trial; once that was passed, during it. */
  base: number;
  /** When the trial under way began: refusals are tolerated. 0: none is. */
  trialAt: number;
  trialDueAt: number;
  trialWaitMs: number;
  /** The last refusal. */
  heardAt: number;
  passed: boolean;
  /** The quota looks far too high, and that was told. */
  doubted: boolean;
}

export interface LaneState {
  /** Moving average of used / reserved. */
  usage: number;
  /** The lane's ticket clock: when the next denied waiter is told to return. */
  ticketAt: number;
  /** The waiter with a large request that holds the first place, or ''. */
  firstId: string;
  firstAt: number;
  /** Guaranteed share saved up, in ms of quota; negative after a large request entered by the guarantee. */
  creditMs: number;
  /** What the lane has drawn of its private reserve, in ms of quota. */
  drawnMs: number;
}

/** A reservation that finds out whether the pool works again. A dead worker's lease ends by itself. */
export interface Probe {
  readonly id: string;
  readonly until: number;
}

/** What is known of an outage; kept for a while after its end, so that a relapse is no new one. */
export interface Outage {
  /** When the breaker first opened. The longer ago, the rarer the probes. */
  readonly since: number;
  /** Openings, those after a failed probe included. */
  readonly openings: number;
  /** Jobs that failed in it, the last ones. A probe goes to another job, if one waits. */
  readonly jobs: readonly string[];
}

/** Failures in a row: no call has been answered that started after the first of them did. */
export interface Run {
  /** When the first call that failed had started. */
  readonly since: number;
  readonly failures: number;
  readonly jobs: readonly { readonly job: string; readonly failures: number }[];
  /** No other call was out when it began. */
  readonly alone: boolean;
}

/** A systemic failure: access is denied. */
export interface Suspect {
  readonly job: string;
  readonly operation: string;
  /** The process that called; '' if it has no name. */
  readonly process: string;
  readonly at: number;
  /** The first of the operation, since that was last answered. */
  readonly since: number;
}

/** A process that is denied what others may call: its own affair, and no sign of the pool's. */
export interface DeniedProcess {
  readonly process: string;
  readonly operation: string;
  readonly denials: number;
  /** When another process was answered first, since this one was denied. Absent: a version before wrote the record. */
  readonly since?: number;
  /** When another process was last answered. */
  readonly at: number;
  readonly told: boolean;
  /** When it was last let try, since that was told. */
  readonly triedAt: number;
}

/** What every phase has. */
interface BreakerCommon {
  /** Rises at each opening and closing; a result of an older epoch says nothing about this one. */
  readonly epoch: number;
  readonly closedAt: number;
  /** The server wants no calls before; 0: it does. */
  readonly heldUntil: number;
  readonly outage: Outage | undefined;
  /** Systemic failures since the last sign that their operation may be called. */
  readonly suspects: readonly Suspect[];
}

export interface Closed extends BreakerCommon {
  readonly phase: "closed";
  readonly answeredAt: number;
  /** Since when the pool answers again after a silence. Failures of calls that started before are old news. */
  readonly answeringSince: number;
  readonly run: Run | undefined;
  /** The job that failed last. */
  readonly failedLast: string | undefined;
  /** Jobs that asked since the first of the failures in a row or of the suspects; a few are enough. */
  readonly askers: readonly string[];
  /** The processes that did. */
  readonly processes: readonly string[];
}

export interface Open extends BreakerCommon {
  readonly phase: "open";
  /** An operator opened it. */
  readonly byHand: boolean;
  readonly outage: Outage;
  /** When the next probe is due. */
  readonly until: number;
}

export interface HalfOpen extends BreakerCommon {
  readonly phase: "half-open";
  readonly outage: Outage;
  /** When the next probe is due, whether or not those under way have told anything. */
  readonly until: number;
  readonly probes: readonly Probe[];
  /** Probes answered in a row. */
  readonly successes: number;
}

/** The one call that finds out whether a pool may be called. */
export interface Canary extends Probe {
  /** Unknown: sent by a program that did not write it down. */
  readonly startAt: number | undefined;
}

/** Who was denied, and so shall not be the one to confirm it while there is another. */
interface Denied {
  /** Processes that were denied access; those without a name are none. */
  readonly deniedTo: readonly string[];
  /** When the pool became suspected, another process had asked. */
  readonly another: boolean;
}

export interface Suspected extends BreakerCommon, Denied {
  readonly phase: "suspected";
  readonly until: number;
  readonly canary: Canary | undefined;
}

export interface Isolated extends BreakerCommon, Denied {
  readonly phase: "isolated";
  /** When the next canary is due. 0: isolated by hand, never by itself. */
  readonly until: number;
  readonly canary: Canary | undefined;
}

/** Whether the pool takes calls, with what each phase knows. In Redis it is one flat record: see `replies.ts`. */
export type BreakerState = Closed | Open | HalfOpen | Suspected | Isolated;

export interface PoolState {
  /** The pool's clock: never runs back by less than a failover. */
  at: number;
  dimensions: Record<string, DimensionState>;
  lanes: Record<string, LaneState>;
  breaker: BreakerState;
  /** Retries in hand. */
  retries: number;
  /** When an answer was last noted; undefined: none was. */
  notedAt?: number;
  /** By how much the clock has stepped in all, ms. Absent: never. */
  shiftedMs?: number;
  /** The largest reservation that was answered lately, in tokens. Absent: none was. */
  passed?: { largest: number; at: number };
  /** Operations that nobody may call while others are answered. Absent: none. */
  denied?: readonly string[];
  /** Processes that are denied what others may call. Absent: none. */
  deniedProcesses?: readonly DeniedProcess[];
  /** Share of the latest calls that failed, by their starts. Absent: none did. */
  failing?: number;
}

/** Tokens per day, of the scope. */
export interface DayState {
  /** UTC day the count belongs to. */
  day: number;
  used: number;
  parkedUntil: number;
  /** Throttles in a row. */
  parkings: number;
  /** Pools that are parked alone. Absent: none. */
  pools?: Readonly<Record<string, Parking>>;
  /** The time of the last look, by which a clock that stepped is told. */
  at?: number;
}

export interface Parking {
  readonly until: number;
  /** Throttles in a row. */
  readonly parkings: number;
}

export interface Reservation {
  readonly lane: string;
  readonly cost: Cost;
  /** When the call may start. */
  readonly startAt: number;
  readonly job: string;
  readonly epoch: number;
  readonly probe: boolean;
  readonly day: number;
  readonly operation?: string;
  readonly process?: string;
}

/** A state for limits nobody has used yet: one burst in hand, never a full minute. */
export function freshState(parameters: Parameters, now: number): PoolState {
  const dimensions: PoolState["dimensions"] = {};
  const lanes: PoolState["lanes"] = {};
  for (const [dimension, rate] of Object.entries(parameters.rates)) {
    dimensions[dimension] = { level: rate.capacity, ceiling: 1, peak: 1, floor: 1, cutAt: 0, cuts: 0 };
  }
  for (const { name, share } of parameters.lanes) {
    const creditMs = share * parameters.guaranteeCreditMs;
    lanes[name] = { usage: 1, ticketAt: now, firstId: "", firstAt: now, creditMs, drawnMs: 0 };
  }
  const breaker: Closed = {
    phase: "closed",
    epoch: 1,
    closedAt: 0,
    heldUntil: 0,
    outage: undefined,
    suspects: [],
    answeredAt: 0,
    answeringSince: 0,
    run: undefined,
    failedLast: undefined,
    askers: [],
    processes: [],
  };
  return { at: now, dimensions, lanes, breaker, retries: parameters.retry.most };
}

/** A state for a pool whose state was lost: calls are in flight that nobody knows of. */
export function learningState(parameters: Parameters, now: number): PoolState {
  const state = freshState(parameters, now);
  beginCarefully(parameters, state, now);
  return state;
}

/**
 * What was known of the quota is lost, and what is in flight unknown: nothing in hand, and half the rate. A rate that has
 * learnt something since is left as it is, so this may come twice, and late.
 */
export function beginCarefully(parameters: Parameters, state: PoolState, now: number): void {
  state.at = Math.max(state.at, now);
  for (const at of Object.values(state.dimensions)) {
    if (at.cutAt > 0) continue;
    at.level = Math.min(at.level, 0);
    at.ceiling = parameters.ceiling.restart;
    at.floor = parameters.ceiling.restart;
    at.cutAt = now;
  }
}

/** Changed limits: what is new starts fresh, what stays keeps its state. */
export function adoptLimits(parameters: Parameters, state: PoolState): void {
  const fresh = freshState(parameters, state.at);
  state.dimensions = { ...fresh.dimensions, ...state.dimensions };
  state.lanes = { ...fresh.lanes, ...state.lanes };
}

/** The state of a lane that the limits name. */
export function laneState(state: PoolState, name: string): LaneState {
  const lane = state.lanes[name];
  if (!lane) throw new Error(`There is no state for lane '${name}', though the limits name it`);
  return lane;
}

export interface RateInState {
  readonly dimension: RateDimension;
  /** Under the ceiling of now. */
  readonly perMs: number;
  readonly capacity: number;
  readonly at: DimensionState;
}

/** The rates of a pool with the state of each. */
export function* ratesOf(parameters: Parameters, state: PoolState): Generator<RateInState> {
  for (const dimension of rateDimensions) {
    const rate = parameters.rates[dimension];
    const at = state.dimensions[dimension];
    if (rate && at) yield { dimension, perMs: rate.perMs * at.ceiling, capacity: rate.capacity, at };
  }
}
