/** `admit` and `settle` on one pool: the order of the steps. Twin of `lua/admit.lua` and `lua/settle.lua`. */
import { dimensions, type Cost } from "../cost.ts";
import type { Admission, AdmitRequest, LimitsChange, Settlement, SettleReply } from "../limiter.ts";
import type { Parameters } from "../parameters.ts";
import { hear, knock, leaseProbe, shutMs, wasOutage, type Outcomes } from "./breaker.ts";
import { cutFor, ramp } from "./ceiling.ts";
import { dayClosedMs, debitDay, park, refundDay, unpark } from "./day.ts";
import * as lanes from "./lanes.ts";
import { accrualMs, advance, backlogMs, costMs, debit, refund } from "./quota.ts";
import { laneState, type BreakerState, type DayState, type PoolState, type Reservation } from "./state.ts";

/** A pool: its parameters, its state, what its calls hold, and the day it shares with its scope. */
export interface Gate {
  readonly pool: string;
  parameters: Parameters;
  readonly state: PoolState;
  readonly day: DayState;
  readonly outcomes: Outcomes;
  readonly reservations: Map<string, Reservation & { readonly expiresAt: number }>;
  /** No reservation expires before this. */
  nextExpiry: number;
}

export function admit(gate: Gate, request: AdmitRequest, time: number): Admission {
  const { parameters, state, day } = gate;
  const { id, job, cost } = request;
  const rank = parameters.lanes.findIndex((lane) => lane.name === request.lane);
  const limits = parameters.lanes[rank];
  if (!limits) {
    const names = parameters.lanes.map((lane) => lane.name).join(", ");
    throw new RangeError(`Expected \`lane\` to be one of ${names}, got '${request.lane}'`);
  }
  const now = advance(parameters, state, time);
  sweep(gate, now);
  const held = gate.reservations.get(id);
  if (held) return granted(waitOf(gate, held, now), held.probe);

  const before = { ...state.breaker };
  const door = knock(parameters, state.breaker, { rank, last: parameters.lanes.length - 1, now });
  const changes = breakerChange(gate, before);
  const closedMs = dayClosedMs(parameters.day, day, cost, now);
  if (closedMs > 0) return { type: "open", afterMs: Math.ceil(closedMs), cause: "day", ...changes };
  if (door.type === "shut") return { ...door, type: "open", afterMs: Math.ceil(door.afterMs), ...changes };

  const claim: lanes.Claim = {
    id,
    limits,
    lane: laneState(state, limits.name),
    costMs: costMs(parameters, state, cost),
    backlogMs: backlogMs(parameters, state),
    accrualMs: accrualMs(parameters, state, cost),
    horizonMs: lanes.horizonMs(parameters, state, limits),
    outranked: lanes.isOutranked(parameters, state, limits),
  };
  const probe = door.type === "probe";
  // A probe does not queue behind its lane's horizon, but pays like every call.
  if (!probe && !lanes.mayCommit(parameters, claim)) {
    return { type: "wait", afterMs: Math.ceil(lanes.takeTicket(parameters, claim, now) - now), ...changes };
  }
  const wait = lanes.commit(parameters, claim);
  debit(parameters, state, cost);
  debitDay(day, cost);
  const startAt = now + wait;
  const expiresAt = startAt + request.ttlMs;
  const { epoch } = state.breaker;
  gate.reservations.set(id, { lane: limits.name, cost, startAt, job, epoch, probe, day: day.day, expiresAt });
  gate.nextExpiry = Math.min(gate.nextExpiry, expiresAt);
  if (probe) leaseProbe(parameters.breaker, state.breaker, id, startAt, request.ttlMs);
  return { ...granted(wait, probe), ...changes };
}

export function settle(gate: Gate, settlement: Settlement, time: number): SettleReply {
  const { parameters, state, day } = gate;
  const { id, outcome, throttledDimension: named } = settlement;
  const reservation = gate.reservations.get(id);
  if (!reservation) return { type: "late" };
  gate.reservations.delete(id);
  const now = advance(parameters, state, time);

  // The server refused: it had less than the level claimed, so the level gets nothing back. A refund would send
  // the next call into the same wall.
  const used = usedOf(reservation.cost, outcome === "throttled" ? {} : settlement.actual);
  refund(parameters, state, reservation.cost, used);
  refundDay(day, reservation, used);
  const lane = state.lanes[reservation.lane];
  if (lane) {
    const reservedMs = costMs(parameters, state, reservation.cost);
    const usedMs = costMs(parameters, state, used);
    lanes.giveBackDrawn(lane, reservedMs, usedMs);
    if (outcome === "ok") lanes.learnUsage(parameters, lane, reservedMs, usedMs);
  }

  const changes: LimitsChange[] = [];
  if (outcome === "throttled" && named === "tokens-per-day") {
    if (park(parameters.day, day, now)) {
      changes.push({ type: "day", pool: gate.pool, untilMs: Math.ceil(day.parkedUntil) });
    }
  } else if (outcome === "throttled") {
    cutFor(parameters, state, named, now);
  } else if (outcome === "ok" && now >= day.parkedUntil && day.parkings > 0) {
    unpark(day);
  }

  const before = { ...state.breaker };
  const { weight = 1, operation = "" } = settlement;
  const { job, epoch, probe } = reservation;
  const finding = { id, job, epoch, outcome, weight, operation };
  hear(parameters, state.breaker, gate.outcomes, finding, now);
  changes.push(...(afterBreaker(gate, before, now).changes ?? []));

  const { most, perSuccess } = parameters.retry;
  if (outcome === "ok") state.retries = Math.min(most, state.retries + perSuccess);
  const reply = {
    type: "settled",
    probe,
    shutMs: Math.ceil(shutMs(parameters, state.breaker, day, now)),
    ...(changes.length > 0 ? { changes } : {}),
  } as const;
  if (settlement.retry !== true) return reply;
  if (state.retries < 1) return { ...reply, retry: "exhausted" };
  state.retries -= 1;
  return { ...reply, retry: "granted" };
}

/** What follows from a changed breaker: a ramp after an outage, and news. */
export function afterBreaker(gate: Gate, before: BreakerState, now: number): { changes?: LimitsChange[] } {
  const { parameters, state } = gate;
  if (before.phase !== state.breaker.phase && state.breaker.phase === "closed") {
    gate.outcomes.clear();
    if (wasOutage(before.phase)) ramp(parameters.ceiling, state, now);
  }
  return breakerChange(gate, before);
}

function breakerChange({ pool, state }: Gate, before: BreakerState): { changes?: LimitsChange[] } {
  const { phase, epoch, until } = state.breaker;
  if (phase === before.phase && epoch === before.epoch) return {};
  const untilMs = phase === "closed" ? 0 : Math.ceil(until);
  return { changes: [{ type: "breaker", pool, from: before.phase, to: phase, epoch, untilMs }] };
}

/** How long a granted call still waits: never beyond the backlog, whatever the clock has done since. */
function waitOf({ parameters, state }: Gate, { startAt }: Reservation, now: number): number {
  return Math.max(0, Math.min(startAt - now, backlogMs(parameters, state)));
}

function granted(waitMs: number, probe: boolean): Admission {
  return { type: "granted", waitMs: Math.ceil(waitMs), ...(probe ? { probe } : {}) };
}

/** What was used: a dimension that nobody measured counts as reserved. */
function usedOf(reserved: Cost, actual: Cost): Cost {
  const used: Cost = {};
  for (const dimension of dimensions) used[dimension] = actual[dimension] ?? reserved[dimension] ?? 0;
  return used;
}

/**
 * Drops reservations of workers that died, a few at a time. Nothing is refunded: the calls may have run, and a
 * rate limit heals by itself.
 */
function sweep(gate: Gate, now: number): void {
  if (now < gate.nextExpiry) return;
  const expired = [...gate.reservations].filter(([, { expiresAt }]) => expiresAt <= now);
  expired.sort(([a, one], [b, other]) => one.expiresAt - other.expiresAt || (a < b ? -1 : 1));
  for (const [id] of expired.slice(0, gate.parameters.sweepLimit)) gate.reservations.delete(id);
  gate.nextExpiry = Infinity;
  for (const { expiresAt } of gate.reservations.values()) {
    gate.nextExpiry = Math.min(gate.nextExpiry, expiresAt);
  }
}
