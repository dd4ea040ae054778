/** `admit` and `settle` on one pool: the order of the steps. Twin of `lua/admit.lua` and `lua/settle.lua`. */
import { rateDimensions, type Cost } from "../cost.ts";
import type { Admission, AdmitRequest, Settlement, SettleReply } from "../limiter.ts";
import type { Parameters } from "../limits.ts";
import { chargeShare, learnUsage, standing, takeTicket } from "./lanes.ts";
import { accrualMs, advance, backlogMs, costMs, debit, refund } from "./quota.ts";
import { freshState, laneState, type Gate } from "./state.ts";

/** Changed limits: what is new starts fresh, what stays keeps its state. */
export function reconfigure(gate: Gate, parameters: Parameters): void {
  gate.parameters = parameters;
  if (!gate.state) return;
  const fresh = freshState(parameters, gate.state.at);
  gate.state.dimensions = { ...fresh.dimensions, ...gate.state.dimensions };
  gate.state.lanes = { ...fresh.lanes, ...gate.state.lanes };
}

export function admit(gate: Gate, request: AdmitRequest, time: number): Admission {
  const { parameters } = gate;
  const limits = parameters.lanes.find((lane) => lane.name === request.lane);
  if (!limits) {
    const names = parameters.lanes.map((lane) => lane.name).join(", ");
    throw new RangeError(`Expected \`lane\` to be one of ${names}, got '${request.lane}'`);
  }
  const state = (gate.state ??= freshState(parameters, time));
  const now = advance(parameters, state, time);
  sweep(gate, now);
  const held = gate.reservations.get(request.id);
  if (held) return { type: "granted", waitMs: Math.ceil(Math.max(0, held.startAt - now)) };

  const lane = laneState(state, limits.name);
  const backlog = backlogMs(parameters, state, limits.reserveMs);
  const cost = costMs(parameters, state, request.cost);
  const { admitted, byGuarantee } = standing(parameters, limits, lane, backlog);
  if (!admitted) {
    const at = takeTicket(parameters, limits, lane, now, backlog, cost);
    return { type: "wait", afterMs: Math.ceil(at - now) };
  }
  const wait = accrualMs(parameters, state, request.cost, limits.reserveMs);
  debit(parameters, state, request.cost);
  chargeShare(parameters, limits, lane, cost, byGuarantee);
  gate.reservations.set(request.id, { lane: limits.name, cost: request.cost, startAt: now + wait });
  gate.expiry.set(request.id, now + wait + request.ttlMs);
  return { type: "granted", waitMs: Math.ceil(wait) };
}

export function settle(gate: Gate, settlement: Settlement, time: number): SettleReply {
  const { parameters, state } = gate;
  const reservation = gate.reservations.get(settlement.id);
  if (!reservation || !state) return { type: "late" };
  gate.reservations.delete(settlement.id);
  gate.expiry.delete(settlement.id);
  advance(parameters, state, time);

  const used = usedOf(reservation.cost, settlement.actual);
  refund(parameters, state, reservation.cost, used);
  const lane = state.lanes[reservation.lane];
  if (lane && settlement.outcome === "ok") {
    const reserved = costMs(parameters, state, reservation.cost);
    learnUsage(parameters, lane, reserved, costMs(parameters, state, used));
  }
  return { type: "settled" };
}

/** What was used: a dimension that nobody measured counts as reserved. */
function usedOf(reserved: Cost, actual: Cost): Cost {
  const used: Cost = {};
  for (const dimension of rateDimensions) used[dimension] = actual[dimension] ?? reserved[dimension] ?? 0;
  return used;
}

/**
 * Drops reservations of workers that died, a few at a time. Nothing is refunded: the calls may have run, and a
 * rate limit heals by itself.
 */
function sweep(gate: Gate, now: number): void {
  const expired = [...gate.expiry].filter(([, at]) => at <= now);
  expired.sort(([a, atA], [b, atB]) => atA - atB || (a < b ? -1 : 1));
  for (const [id] of expired.slice(0, gate.parameters.sweepLimit)) {
    gate.expiry.delete(id);
    gate.reservations.delete(id);
  }
}
