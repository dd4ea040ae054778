/**
 * What is kept of a pool. The functions in this folder are the algorithm of `lua/`, one file for one file and
 * name for name; the model test holds the two together. They change the state they are given; time is an
 * argument and everything else is data.
 */
import { rateDimensions, type Cost, type RateDimension } from "../cost.ts";
import type { BreakerPhase } from "../limiter.ts";
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

export interface BreakerState {
  phase: BreakerPhase;
  /** Rises at each opening and closing; a result of an older epoch says nothing about this one. */
  epoch: number;
  /** When the next probe is due. 0 while isolated by hand: never by itself. */
  until: number;
  /** Openings in a row. */
  openings: number;
  closedAt: number;
  /** Reservation that holds the one probe, or ''. */
  probeId: string;
  probeUntil: number;
  successes: number;
  timeouts: number;
  /** Systemic failures since the last sign of working credentials. */
  suspects: { job: string; shape: string }[];
}

export interface PoolState {
  /** The pool's clock: never runs back by less than a failover. */
  at: number;
  dimensions: Record<string, DimensionState>;
  lanes: Record<string, LaneState>;
  breaker: BreakerState;
  /** Retries in hand. */
  retries: number;
}

/** Tokens per day, of the scope. */
export interface DayState {
  /** UTC day the count belongs to. */
  day: number;
  used: number;
  parkedUntil: number;
  /** Throttles in a row. */
  parkings: number;
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
  const breaker: BreakerState = {
    phase: "closed",
    epoch: 1,
    until: 0,
    openings: 0,
    closedAt: 0,
    probeId: "",
    probeUntil: 0,
    successes: 0,
    timeouts: 0,
    suspects: [],
  };
  return { at: now, dimensions, lanes, breaker, retries: parameters.retry.most };
}

/** A state for a pool whose state was lost: calls are in flight that nobody knows of. */
export function learningState(parameters: Parameters, now: number): PoolState {
  const state = freshState(parameters, now);
  for (const at of Object.values(state.dimensions)) {
    at.level = 0;
    at.ceiling = parameters.ceiling.restart;
    at.floor = parameters.ceiling.restart;
    at.cutAt = now;
  }
  return state;
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
