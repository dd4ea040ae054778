/** A pool as its operators see it: pure views of one snapshot. */
import type { Cost, RateDimension } from "./cost.ts";
import { laneBound, type LaneBound } from "./lane-bound.ts";
import type { BreakerPhase, Closure } from "./limiter.ts";
import type { PoolLimits } from "./limits.ts";
import { knock } from "./model/breaker.ts";
import { dayClosedMs } from "./model/day.ts";
import { commit, horizonMs, isOutranked, mayCommit, takeTicket, type Claim } from "./model/lanes.ts";
import { accrualMs, backlogMs, costMs } from "./model/quota.ts";
import { laneState, ratesOf, type DayState, type PoolState } from "./model/state.ts";
import type { Parameters } from "./parameters.ts";

/** Everything known of a pool at one moment, its clock moved to it. */
export interface Snapshot {
  readonly pool: string;
  readonly version: number;
  readonly limits: PoolLimits;
  readonly parameters: Parameters;
  readonly state: PoolState;
  readonly day: DayState;
  readonly reservations: number;
}

export interface Inspection {
  readonly pool: string;
  /** The limiter's clock, ms. All `…AtMs` below are on it. */
  readonly atMs: number;
  readonly version: number;
  readonly limits: PoolLimits;
  readonly dimensions: Readonly<Partial<Record<RateDimension, DimensionInspection>>>;
  /** From most to least urgent. */
  readonly lanes: readonly LaneInspection[];
  readonly breaker: {
    readonly phase: BreakerPhase;
    readonly epoch: number;
    /** When the next probe is due; 0: none. */
    readonly probeDueAtMs: number;
    readonly openings: number;
    /** The reservation that probes, if any. */
    readonly probe: string | undefined;
    /** Systemic failures in a row. */
    readonly suspects: number;
  };
  readonly day: { readonly used: number; readonly quota: number | undefined; readonly parkedUntilMs: number };
  /** Retries in hand. */
  readonly retries: number;
  /** Calls between admit and settle. */
  readonly reservations: number;
}

export interface DimensionInspection {
  /** What may be spent now; negative while work is promised ahead. */
  readonly level: number;
  /** What an idle pool saves up. */
  readonly capacity: number;
  /** The rate in use now: quota x pace x share x ceiling. */
  readonly perMinute: number;
  /** Fraction of the rate in use. 1 - ceiling is what strangers are suspected to take. */
  readonly ceiling: number;
}

export interface LaneInspection {
  readonly name: string;
  /** When the next waiter would be told to return. */
  readonly ticketAtMs: number;
  /** Guaranteed share saved up, in ms of quota. */
  readonly creditMs: number;
  /** Drawn of the private reserve, in ms of quota. */
  readonly drawnMs: number;
  /** What the lane uses of its reservations, on average. */
  readonly usage: number;
  /** What the lane gets whatever the others ask for. */
  readonly bound: LaneBound;
}

export function inspection({
  pool,
  version,
  limits,
  parameters,
  state,
  day,
  reservations,
}: Snapshot): Inspection {
  const { phase, epoch, until, openings, probeId, probeUntil, suspects } = state.breaker;
  const rates = [...ratesOf(parameters, state)].map(({ dimension, perMs, capacity, at }) => [
    dimension,
    { level: at.level, capacity, perMinute: perMs * 60_000, ceiling: at.ceiling },
  ]);
  return {
    pool,
    atMs: state.at,
    version,
    limits,
    dimensions: Object.fromEntries(rates),
    lanes: parameters.lanes.map(({ name }) => {
      const { ticketAt, creditMs, drawnMs, usage } = laneState(state, name);
      return { name, ticketAtMs: ticketAt, creditMs, drawnMs, usage, bound: laneBound(limits, name) };
    }),
    breaker: {
      phase,
      epoch,
      probeDueAtMs: phase === "closed" ? 0 : until,
      openings,
      probe: probeId !== "" && state.at < probeUntil ? probeId : undefined,
      suspects: suspects.length,
    },
    day: { used: day.used, quota: parameters.day.quota, parkedUntilMs: day.parkedUntil },
    retries: state.retries,
    reservations,
  };
}

export interface Explanation {
  /** What `admit` would answer now; `probe`: the call would decide whether the pool opens again. */
  readonly answer: "granted" | "probe" | "wait" | "open";
  /** With `open`: why the pool takes no calls. */
  readonly cause: Closure | undefined;
  /** Until the call could start (granted), or until it would be told to ask again. */
  readonly afterMs: number;
  /** What is missing in each dimension that is short, and when it will have accrued if nobody else takes it. */
  readonly missing: Readonly<
    Partial<Record<RateDimension, { readonly amount: number; readonly inMs: number }>>
  >;
  /** What the pool has promised to others already, in ms of quota. */
  readonly backlogMs: number;
  /** How far ahead this lane may commit now, its reserve included. */
  readonly horizonMs: number;
}

/**
 * Answers for a call without making one: the same functions as `admit`, on a copy.
 * @throws RangeError for an unknown lane.
 */
export function explanation(snapshot: Snapshot, laneName: string, cost: Cost): Explanation {
  const { parameters } = snapshot;
  const state = structuredClone(snapshot.state);
  const rank = parameters.lanes.findIndex(({ name }) => name === laneName);
  const limits = parameters.lanes[rank];
  if (!limits) {
    const names = parameters.lanes.map(({ name }) => name).join(", ");
    throw new RangeError(`Expected \`lane\` to be one of ${names}, got '${laneName}'`);
  }
  const claim: Claim = {
    // No waiter has this id, so the answer is that of somebody new in line.
    id: "",
    limits,
    lane: laneState(state, laneName),
    costMs: costMs(parameters, state, cost),
    backlogMs: backlogMs(parameters, state),
    accrualMs: accrualMs(parameters, state, cost),
    horizonMs: horizonMs(parameters, state, limits),
    outranked: isOutranked(parameters, state, limits),
  };
  const view = {
    cause: undefined,
    missing: missing(parameters, state, cost),
    backlogMs: claim.backlogMs,
    horizonMs: claim.horizonMs + limits.reserveMs,
  };
  const closedMs = dayClosedMs(parameters.day, structuredClone(snapshot.day), cost, state.at);
  if (closedMs > 0) return { ...view, answer: "open", cause: "day", afterMs: Math.ceil(closedMs) };
  const last = parameters.lanes.length - 1;
  const door = knock(parameters, state.breaker, { rank, last, now: state.at });
  if (door.type === "shut") {
    return { ...view, answer: "open", cause: door.cause, afterMs: Math.ceil(door.afterMs) };
  }
  const probe = door.type === "probe";
  if (probe || mayCommit(parameters, claim)) {
    return { ...view, answer: probe ? "probe" : "granted", afterMs: Math.ceil(commit(parameters, claim)) };
  }
  return { ...view, answer: "wait", afterMs: Math.ceil(takeTicket(parameters, claim, state.at) - state.at) };
}

function missing(parameters: Parameters, state: PoolState, cost: Cost): Explanation["missing"] {
  const short: Partial<Record<RateDimension, { amount: number; inMs: number }>> = {};
  for (const { dimension, perMs, at } of ratesOf(parameters, state)) {
    const amount = (cost[dimension] ?? 0) - at.level;
    if (amount > 0) short[dimension] = { amount, inMs: Math.ceil(amount / perMs) };
  }
  return short;
}
