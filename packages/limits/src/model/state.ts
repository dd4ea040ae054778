/**
 * What the in-memory limiter keeps of a pool. The functions in this folder are the algorithm of `lua/`, one file
 * for one file and name for name; the model test holds the two together.
 */
import { rateDimensions, type Cost, type RateDimension } from "../cost.ts";
import type { Parameters } from "../limits.ts";

export interface DimensionState {
  /** What may be spent now, in units. Below zero: work promised ahead, and debts. */
  level: number;
}

export interface LaneState {
  /** Moving average of used / reserved. */
  usage: number;
  /** The lane's ticket clock: when the next denied waiter is told to return. */
  ticketAt: number;
  /** Guaranteed share saved up, in ms of quota; negative after a large request entered by the guarantee. */
  creditMs: number;
  creditAt: number;
}

export interface PoolState {
  /** The pool's clock: never runs back by less than a failover. */
  at: number;
  dimensions: Record<string, DimensionState>;
  lanes: Record<string, LaneState>;
}

export interface Reservation {
  readonly lane: string;
  readonly cost: Cost;
  /** When the call may start. */
  readonly startAt: number;
}

/** A pool: its parameters, its state, and what its calls hold. */
export interface Gate {
  parameters: Parameters;
  state: PoolState | undefined;
  readonly reservations: Map<string, Reservation>;
  /** Reservation id to the time it is dropped. */
  readonly expiry: Map<string, number>;
}

/** The state of a pool nobody has called yet: one burst in hand, never a full minute. */
export function freshState(parameters: Parameters, now: number): PoolState {
  const state: PoolState = { at: now, dimensions: {}, lanes: {} };
  for (const { name, share } of parameters.lanes) {
    state.lanes[name] = {
      usage: 1,
      ticketAt: now,
      creditMs: share * parameters.guaranteeCreditMs,
      creditAt: now,
    };
  }
  for (const [dimension, rate] of Object.entries(parameters.rates)) {
    state.dimensions[dimension] = { level: rate.capacity };
  }
  return state;
}

/** The state of a lane that the limits name. */
export function laneState(state: PoolState, name: string): LaneState {
  const lane = state.lanes[name];
  if (!lane) throw new Error(`There is no state for lane '${name}', though the limits name it`);
  return lane;
}

/** The rates of a pool with the state of each. */
export function* ratesOf(parameters: Parameters, state: PoolState): Generator<RateInState> {
  for (const dimension of rateDimensions) {
    const rate = parameters.rates[dimension];
    const at = state.dimensions[dimension];
    if (rate && at) yield { ...rate, dimension, at };
  }
}

export interface RateInState {
  readonly dimension: RateDimension;
  readonly perMs: number;
  readonly capacity: number;
  readonly at: DimensionState;
}
