/** Views of one snapshot of a pool: how it stands, and what it would answer a call. Pure. */
import type { Cost, RateDimension } from "./cost.ts";
import type { BreakerInspection, Explanation, Inspection } from "./inspection.ts";
import { laneBound } from "./lane-bound.ts";
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
