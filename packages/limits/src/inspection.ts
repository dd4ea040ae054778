/** A pool as its operators see it: pure views of one snapshot. */
import type { Cost, RateDimension } from "./cost.ts";
import { laneBound, type LaneBound } from "./lane-bound.ts";
import type { BreakerPhase, Closure } from "./limiter.ts";
import type { PoolLimits } from "./limits.ts";
import { isShutByHand, letIn, shutMs } from "./model/breaker.ts";
import { parkedUntil } from "./model/day.ts";
import { deniedAlone } from "./model/denied-processes.ts";
import { decide } from "./model/decide.ts";
import { commit, takeTicket } from "./model/lanes.ts";
import {
  laneState,
  ratesOf,
  type BreakerState,
  type DayState,
  type PoolState,
  type Probe,
} from "./model/state.ts";
import type { Parameters } from "./parameters.ts";

/** Everything known of a pool at one moment, its clock moved to it; a copy. */
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
  /** For how long the pool takes no calls but probes, ms: by its breaker, a hold or the day. 0: it takes calls. */
  readonly shutMs: number;
  /** Whether it takes calls now. The phase alone does not say: a suspected pool lets one canary in and nobody else. */
  readonly takesCalls: boolean;
  readonly breaker: BreakerInspection;
  readonly day: { readonly used: number; readonly quota: number | undefined; readonly parkedUntilMs: number };
  /** Retries in hand. */
  readonly retries: number;
  /** Calls between admit and settle. */
  readonly reservations: number;
  /** Processes that are denied what others are answered, for a role of their own. They may have ended since. */
  readonly deniedProcesses: readonly DeniedInspection[];
}

export interface DeniedInspection {
  readonly process: string;
  readonly operation: string;
  /** `undefined`: not known. */
  readonly sinceMs: number | undefined;
}

export interface BreakerInspection {
  readonly phase: BreakerPhase;
  /** An operator has opened or isolated it: nothing that calls met did. */
  readonly byHand: boolean;
  readonly epoch: number;
  /** When the next probe is due; 0: none, as of a pool that was isolated by hand. */
  readonly probeDueAtMs: number;
  /** In this outage, or in the last one while it is remembered; those after a failed probe included. */
  readonly openings: number;
  /** The reservations that probe. */
  readonly probes: readonly string[];
  /** Systemic failures in a row. */
  readonly suspects: number;
  /** Failures in a row, as the breaker weighs them. */
  readonly failures: number;
  /** The server asked for no calls until then; 0: it did not. */
  readonly heldUntilMs: number;
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
  // As the next who asks would find it.
  letIn(state);
  const rates = [...ratesOf(parameters, state)].map(({ dimension, perMs, capacity, at }) => [
    dimension,
    { level: at.level, capacity, perMinute: perMs * 60_000, ceiling: at.ceiling },
  ]);
  const shut = shutMs(parameters, state.breaker, parkedUntil(day, pool), state.at);
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
    shutMs: Math.ceil(shut),
    takesCalls: shut === 0,
    breaker: breakerInspection(state.breaker, state.at),
    day: { used: day.used, quota: parameters.day.quota, parkedUntilMs: parkedUntil(day, pool) },
    retries: state.retries,
    reservations,
    deniedProcesses: deniedAlone(parameters, state).map(({ process, operation, since }) => ({
      process,
      operation,
      sinceMs: since,
    })),
  };
}

function breakerInspection(breaker: BreakerState, now: number): BreakerInspection {
  const { phase, epoch, outage, suspects, heldUntil } = breaker;
  return {
    phase,
    byHand: isShutByHand(breaker),
    epoch,
    probeDueAtMs: breaker.phase === "closed" ? 0 : breaker.until,
    openings: outage?.openings ?? 0,
    probes: probesOf(breaker).flatMap(({ id, until }) => (now < until ? [id] : [])),
    suspects: suspects.length,
    failures: breaker.phase === "closed" ? (breaker.run?.failures ?? 0) : 0,
    heldUntilMs: heldUntil > now ? heldUntil : 0,
  };
}

function probesOf(breaker: BreakerState): readonly Probe[] {
  switch (breaker.phase) {
    case "closed":
    case "open":
      return [];
    case "half-open":
      return breaker.probes;
    case "suspected":
    case "isolated":
      return breaker.canary === undefined ? [] : [breaker.canary];
  }
}

export interface Explanation {
  /** What `admit` would answer now; `probe`: the call would decide whether the pool opens again. */
  readonly answer: "granted" | "probe" | "wait" | "open";
  /** With `open`: why the pool takes no calls. */
  readonly cause: Closure | undefined;
  /** The breaker's phase: a `breaker` that takes no calls may be open, or suspect that access is denied. */
  readonly phase: BreakerPhase;
  /** An operator has opened or isolated it. Isolated by hand, the pool makes no call until one closes its breaker. */
  readonly byHand: boolean;
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
 * Answers for a call without making one: what `admit` would decide, on a copy.
 * @throws RangeError for an unknown lane.
 */
export function explanation(snapshot: Snapshot, laneName: string, cost: Cost): Explanation {
  const { parameters } = snapshot;
  const state = structuredClone(snapshot.state);
  letIn(state);
  // Nobody has this name, so the answer is that of somebody new in line.
  const question = { pool: snapshot.pool, lane: laneName, id: "", job: "", cost };
  const decision = decide(parameters, state, structuredClone(snapshot.day), question);
  const { claim } = decision;
  const view = {
    cause: undefined,
    phase: state.breaker.phase,
    byHand: isShutByHand(state.breaker),
    missing: missing(parameters, state, cost),
    backlogMs: claim.backlogMs,
    horizonMs: claim.horizonMs + claim.limits.reserveMs,
  };
  switch (decision.type) {
    case "open":
      return { ...view, answer: "open", cause: decision.cause, afterMs: Math.ceil(decision.afterMs) };
    case "granted": {
      const answer = decision.probe ? "probe" : "granted";
      return { ...view, answer, afterMs: Math.ceil(commit(parameters, claim)) };
    }
    case "wait":
      return {
        ...view,
        answer: "wait",
        afterMs: Math.ceil(takeTicket(parameters, claim, state.at) - state.at),
      };
  }
}

function missing(parameters: Parameters, state: PoolState, cost: Cost): Explanation["missing"] {
  const short: Partial<Record<RateDimension, { amount: number; inMs: number }>> = {};
  for (const { dimension, perMs, at } of ratesOf(parameters, state)) {
    const amount = (cost[dimension] ?? 0) - at.level;
    if (amount > 0) short[dimension] = { amount, inMs: Math.ceil(amount / perMs) };
  }
  return short;
}
