/** `admit` and `settle` on one pool: the order of the steps. Twin of `lua/admit.lua` and `lua/settle.lua`. */
import { dimensions, type Cost } from "../cost.ts";
import type { Admission, AdmitRequest, LimitsChange, Settlement, SettleReply } from "../limiter.ts";
import type { Parameters } from "../parameters.ts";
import { mayNote, noteAnswer, othersAnsweredAt, recalled, type Answered } from "./answers.ts";
import { noteAsker } from "./askers.ts";
import { hold, letIn, shutMs } from "./breaker.ts";
import { ramp } from "./ceiling.ts";
import { advanceDay, answeredToday, debitDay, park, parkedUntil, refundDay } from "./day.ts";
import { decide } from "./decide.ts";
import { leaseProbe } from "./door.ts";
import { contradict, heardAs, isDeniedAlone, noteTry, tellDeniedProcesses } from "./denied-processes.ts";
import { tellDenied } from "./denied.ts";
import { hear } from "./evidence.ts";
import { countForHolds, isHeeded, noteFailing } from "./holds.ts";
import * as lanes from "./lanes.ts";
import { advance, backlogMs, costMs, debit, refund } from "./quota.ts";
import { countStart, type Starts } from "./starts.ts";
import { countCall, doubtQuotas, largestPassed, notePassed, refuse } from "./throttles.ts";
import type { BreakerState, DayState, PoolState, Reservation } from "./state.ts";

/** A pool: its parameters, its state, what its calls hold, and the day it shares with its scope. */
export interface Gate {
  readonly pool: string;
  parameters: Parameters;
  readonly state: PoolState;
  readonly day: DayState;
  readonly starts: Starts;
  answers: readonly Answered[];
  readonly reservations: Map<string, Reservation & { readonly expiresAt: number }>;
  /** No reservation expires before this. */
  nextExpiry: number;
}

export function admit(gate: Gate, request: AdmitRequest, time: number): Admission {
  const { parameters, state, day } = gate;
  const { id, job, cost, ttlMs, operation = "", process = "" } = request;
  const now = advance(parameters, state, time);
  advanceDay(parameters, day, now);
  sweep(gate, now);
  const held = gate.reservations.get(id);
  if (held) return granted(waitOf(gate, held, now), held.probe);

  const before = state.breaker;
  hearLetIn(gate);
  noteAsker(parameters, state, job, process);
  const decision = decide(parameters, state, day, request);
  const { claim } = decision;
  switch (decision.type) {
    case "open": {
      const { afterMs, cause } = decision;
      return { type: "open", afterMs: Math.ceil(afterMs), cause, ...afterBreaker(gate, before, now) };
    }
    case "wait": {
      const afterMs = Math.ceil(lanes.takeTicket(parameters, claim, now) - now);
      return { type: "wait", afterMs, ...afterBreaker(gate, before, now) };
    }
    case "granted": {
      const opened = afterBreaker(gate, before, now).changes ?? [];
      const { probe } = decision;
      const wait = lanes.commit(parameters, claim);
      debit(parameters, state, cost);
      debitDay(day, cost);
      countCall(parameters, state);
      countForHolds(parameters, state);
      noteTry(state, { operation, process });
      const startAt = now + wait;
      // As the sorted set of Redis keeps it.
      const expiresAt = Math.round((startAt + ttlMs) * 1_000) / 1_000;
      const { phase, epoch } = state.breaker;
      const lane = claim.limits.name;
      const caller = { job, operation, process };
      gate.reservations.set(id, { lane, cost, startAt, ...caller, epoch, probe, day: day.day, expiresAt });
      gate.nextExpiry = Math.min(gate.nextExpiry, expiresAt);
      if (probe) leaseProbe(parameters.breaker, state, { id, startAt, ttlMs });
      else countStart(parameters, gate.starts, startAt, now);
      const changes = [...opened, ...(breakerChange(gate, { phase, epoch }).changes ?? [])];
      return { ...granted(wait, probe), ...(changes.length > 0 ? { changes } : {}) };
    }
  }
}

/** A canary that has been out for a while opens the pool again; those who were denied were denied it alone. */
function hearLetIn({ parameters, state, reservations }: Gate): void {
  const { suspects } = state.breaker;
  const canary = letIn(state);
  const call = canary && reservations.get(canary.id);
  if (call)
    contradict(parameters, state, suspects, { operation: call.operation ?? "", process: call.process ?? "" });
}

export function settle(gate: Gate, settlement: Settlement, time: number): SettleReply {
  const { parameters, state, day } = gate;
  const { id, outcome, throttledDimension: named, operation = "", weight = 1, holdMs = 0 } = settlement;
  const reservation = gate.reservations.get(id);
  if (!reservation) return { type: "late" };
  gate.reservations.delete(id);
  const now = advance(parameters, state, time);
  advanceDay(parameters, day, now);

  // The server refused for its quota: it had less than the level claimed, so the level gets nothing back. A refund
  // would send the next call into the same wall.
  const { cost, startAt } = reservation;
  const rate = outcome === "throttled" && named !== "tokens-per-day";
  const sign = rate ? refuse(parameters, state, { named, cost, startAt }, now) : outcome === "throttled";
  const used = usedOf(cost, sign ? {} : settlement.actual);
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
    const parked = park(parameters.day, day, gate.pool, now);
    const untilMs = Math.ceil(parkedUntil(day, gate.pool));
    const alone = parked === "pool" ? ({ alone: true } as const) : {};
    if (parked !== undefined) changes.push({ type: "day", pool: gate.pool, untilMs, ...alone });
  } else if (outcome === "ok") {
    answeredToday(day, gate.pool, now);
  }

  if (outcome === "ok") notePassed(parameters, state, cost, now);
  changes.push(...doubtQuotas(parameters, state, gate.pool, now));

  const { job, epoch, probe, process = "" } = reservation;
  const answers = recalled(gate.answers, state);
  const others = othersAnsweredAt(answers, { operation, job });
  const before = state.breaker;
  const { starts, reservations } = gate;
  const finding = { id, job, operation, process, epoch, startAt, probe, outcome, weight };
  const alone = outcome === "systemic" && isDeniedAlone(parameters, state, finding);
  if (outcome === "ok" || outcome === "throttled") {
    contradict(parameters, state, state.breaker.suspects, finding);
  }
  const heard = { ...finding, outcome: heardAs(alone, state, outcome) };
  hear(parameters, state, { starts, answers, out: reservations }, heard);
  changes.push(...tellDenied(parameters, state, gate.pool, answers, heard));
  changes.push(...tellDeniedProcesses(parameters, state, gate.pool, finding, alone));
  if (outcome === "ok" && mayNote(parameters, state, now)) {
    gate.answers = noteAnswer(
      answers,
      parameters.operationsKept,
      { operation, job, shiftedMs: state.shiftedMs },
      now,
    );
  }
  changes.push(...(afterBreaker(gate, before, now).changes ?? []));
  if (outcome === "failed" || outcome === "timeout" || (outcome === "neutral" && holdMs > 0)) {
    noteFailing(parameters, state);
  }
  if (holdMs > 0 && isHeeded(parameters, state, outcome, sign)) changes.push(...holdFor(gate, holdMs));

  const { most, perSuccess } = parameters.retry;
  if (outcome === "ok") state.retries = Math.min(most, state.retries + perSuccess);
  const retry = settlement.retry !== true ? undefined : state.retries >= 1 ? "granted" : "exhausted";
  if (retry === "granted") state.retries -= 1;
  // Only a failure asks who was answered meanwhile.
  const answeredAgo = outcome === "ok" ? -1 : ago(others.pool, now);
  // What others were answered is no proof against a job whose process alone is denied.
  const operationAnsweredAgo = outcome === "ok" || alone ? -1 : ago(others.operation, now);
  const largest = outcome === "throttled" ? Math.round(largestPassed(parameters.ceiling, state, now)) : 0;
  return {
    type: "settled",
    ...(largest > 0 ? { largestPassed: largest } : {}),
    ...(retry === undefined ? {} : { retry }),
    ...(answeredAgo < 0 ? {} : { answeredAgoMs: answeredAgo }),
    ...(operationAnsweredAgo < 0 ? {} : { operationAnsweredAgoMs: operationAnsweredAgo }),
    probe,
    shutMs: Math.ceil(shutMs(parameters, state.breaker, parkedUntil(day, gate.pool), now)),
    ...(changes.length > 0 ? { changes } : {}),
  };
}

/** How long ago that was, in ms; -1: not within memory, or by a clock that has been set back since. */
function ago(at: number, now: number): number {
  return at === 0 || at > now ? -1 : Math.floor(now - at);
}

/** Holds the pool for as long as the server asks; news when that is longer than it was. */
function holdFor({ pool, parameters, state }: Gate, holdMs: number): LimitsChange[] {
  const before = state.breaker.heldUntil;
  hold(parameters.breaker, state, holdMs);
  const { heldUntil } = state.breaker;
  return heldUntil > before ? [{ type: "hold", pool, untilMs: Math.ceil(heldUntil) }] : [];
}

/** What follows from a changed breaker: a ramp after an outage, and news. */
export function afterBreaker(
  gate: Gate,
  before: BreakerState,
  now: number,
): { changes?: readonly LimitsChange[] } {
  const { parameters, state } = gate;
  const { phase, epoch } = state.breaker;
  if (phase === "closed" && epoch !== before.epoch) {
    gate.starts.clear();
    // The service comes back from an outage, and gets its load step by step.
    if (before.phase === "open" || before.phase === "half-open") ramp(parameters.ceiling, state, now);
  }
  return breakerChange(gate, before);
}

function breakerChange(
  { pool, state: { breaker } }: Gate,
  before: Pick<BreakerState, "phase" | "epoch">,
): { changes?: readonly LimitsChange[] } {
  const { phase, epoch } = breaker;
  if (phase === before.phase && epoch === before.epoch) return {};
  const untilMs = breaker.phase === "closed" ? 0 : Math.ceil(breaker.until);
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
