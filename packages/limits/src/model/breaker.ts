/**
 * Whether the pool takes calls at all: one breaker for the fleet. Twin of `lua/breaker.lua`. What opens it, or makes a
 * pool suspected, is in `evidence.ts`.
 *
 *   closed ── failures ──▶ open ── a probe is due ──▶ half-open ── probes answered ──▶ closed
 *                           ▲──── the last probe failed ────┘
 *   closed ── access denied ──▶ suspected ── canary confirms ──▶ isolated ── canary answers ──▶ closed
 */
import type { Closure, SettleOutcome } from "../limiter.ts";
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type {
  BreakerState,
  Closed,
  DayState,
  HalfOpen,
  Isolated,
  Open,
  Outage,
  PoolState,
  Probe,
  Suspected,
} from "./state.ts";

export type Door =
  | { readonly type: "pass" }
  /** The call may be a probe, if the limiter grants it. */
  | { readonly type: "probe" }
  | { readonly type: "shut"; readonly afterMs: number; readonly cause: Closure };

/** Who knocks. */
export interface Knocker {
  /** The lane's place, 0 = most urgent; `last` that of the least urgent. */
  readonly rank: number;
  readonly last: number;
  readonly job: string;
}

/** May this call pass, be a probe, or neither? Changes nothing. */
export function knock(
  { breaker: limits }: Pick<Parameters, "breaker">,
  breaker: BreakerState,
  knocker: Knocker,
  now: number,
): Door {
  const door = doorOf(limits, breaker, knocker, now);
  const heldMs = breaker.heldUntil - now;
  if (heldMs <= 0 || (door.type === "shut" && door.afterMs >= heldMs)) return door;
  return { type: "shut", afterMs: heldMs, cause: "hold" };
}

function doorOf(limits: BreakerLimits, breaker: BreakerState, knocker: Knocker, now: number): Door {
  switch (breaker.phase) {
    case "closed":
      return { type: "pass" };
    case "open":
    case "half-open":
      return probeDoor(limits, breaker, knocker, now);
    case "suspected":
    case "isolated":
      return canaryDoor(limits, breaker, knocker, now);
  }
}

/** A failed service is tried with the most urgent work first, and with a job that has not failed in this outage. */
function probeDoor(limits: BreakerLimits, breaker: Open | HalfOpen, knocker: Knocker, now: number): Door {
  const { rank, job } = knocker;
  const turn = breaker.outage.jobs.includes(job) ? rank + 1 : rank;
  const due = breaker.until + turn * limits.staggerMs;
  const probes = liveProbes(breaker, now);
  const [eldest] = probes;
  if (eldest === undefined) {
    return now < due ? { type: "shut", afterMs: due - now, cause: "breaker" } : { type: "probe" };
  }
  const waitMs = probes.length < limits.probesMost ? due - now : eldest.until - now;
  // Whoever waits for another's probe comes back soon: it may be answered at any moment.
  return waitMs > 0
    ? { type: "shut", afterMs: probingMs(limits, waitMs), cause: "probing" }
    : { type: "probe" };
}

/** Access is tried with the least urgent work. */
function canaryDoor(
  limits: BreakerLimits,
  { phase, until, canary }: Suspected | Isolated,
  { rank, last }: Knocker,
  now: number,
): Door {
  const isolated = phase === "isolated";
  if (isolated && until === 0) return { type: "shut", afterMs: limits.canaryMs, cause: "isolated" };
  const due = until + (last - rank) * limits.staggerMs;
  if (now < due) return { type: "shut", afterMs: due - now, cause: isolated ? "isolated" : "breaker" };
  if (canary === undefined || now >= canary.until) return { type: "probe" };
  return { type: "shut", afterMs: probingMs(limits, canary.until - now), cause: "probing" };
}

function probingMs({ probingLeastMs, probingMostMs }: BreakerLimits, waitMs: number): number {
  return Math.max(probingLeastMs, Math.min(probingMostMs, waitMs));
}

/** Hands out a probe. The next is due an interval later, whether or not this one has told anything by then. */
export function leaseProbe(
  limits: BreakerLimits,
  state: PoolState,
  { id, startAt, ttlMs }: { id: string; startAt: number; ttlMs: number },
): void {
  const { breaker } = state;
  const probe = { id, until: startAt + (ttlMs > limits.leaseTrimMs ? ttlMs - limits.leaseTrimMs : ttlMs) };
  switch (breaker.phase) {
    case "closed":
      return;
    case "open":
    case "half-open": {
      const { phase, epoch, closedAt, heldUntil, suspects, outage } = breaker;
      const successes = phase === "open" ? 0 : breaker.successes;
      const probes = [...(phase === "open" ? [] : liveProbes(breaker, state.at)), probe];
      const until = startAt + intervalMs(limits, outage, startAt);
      const common = { epoch, closedAt, heldUntil, suspects, outage };
      state.breaker = { ...common, phase: "half-open", until, probes, successes };
      return;
    }
    case "suspected":
    case "isolated":
      state.breaker = { ...breaker, canary: probe };
  }
}

/** Probes grow rarer with the age of the outage, so that one of a minute is over for callers soon after its end. */
function intervalMs(limits: BreakerLimits, { since }: Outage, now: number): number {
  return Math.min(limits.openMostMs, Math.max(limits.openMs, (now - since) * limits.openPart));
}

function liveProbes(breaker: Open | HalfOpen, now: number): readonly Probe[] {
  return breaker.phase === "open" ? [] : breaker.probes.filter(({ until }) => now < until);
}

/** A call that was no probe of this outage has failed in it. */
export function noteFailed(limits: BreakerLimits, state: PoolState, job: string): void {
  const { breaker } = state;
  if (breaker.phase !== "open" && breaker.phase !== "half-open") return;
  state.breaker = { ...breaker, outage: withJob(limits, breaker.outage, job) };
}

function withJob({ outageJobs }: BreakerLimits, outage: Outage, job: string): Outage {
  return { ...outage, jobs: [...outage.jobs.filter((one) => one !== job), job].slice(-outageJobs) };
}

/** Moves a half-open breaker by what a probe found out. */
export function hearProbe(
  limits: BreakerLimits,
  state: PoolState,
  { id, outcome }: { id: string; outcome: SettleOutcome },
): void {
  const { breaker, at: now } = state;
  if (breaker.phase !== "half-open") return;
  const live = liveProbes(breaker, now);
  if (!live.some((probe) => probe.id === id)) return;
  const probes = live.filter((probe) => probe.id !== id);
  switch (outcome) {
    case "ok":
      if (breaker.successes + 1 >= limits.successes) return close(state);
      state.breaker = { ...breaker, probes, successes: breaker.successes + 1, until: now };
      return;
    case "failed":
    case "timeout":
      state.breaker = { ...breaker, probes, successes: 0 };
      if (probes.length === 0) open(limits, state, Math.max(0, breaker.until - now));
      return;
    case "systemic":
      return doubt(state);
    case "throttled":
    case "neutral":
      // It told nothing: the next may go at once.
      state.breaker = { ...breaker, probes, until: now };
  }
}

/** Moves a suspected or isolated pool by what its canary found out. */
export function hearCanary(
  limits: BreakerLimits,
  state: PoolState,
  { id, outcome }: { id: string; outcome: SettleOutcome },
): void {
  const { breaker, at: now } = state;
  if (breaker.phase !== "suspected" && breaker.phase !== "isolated") return;
  if (breaker.canary?.id !== id || now >= breaker.canary.until) return;
  if (outcome === "neutral") state.breaker = { ...breaker, canary: undefined };
  else if (outcome === "systemic") isolate(state, now + limits.canaryMs);
  // An answer, even a throttle, needs access. A failure proves nothing either way: a suspicion is dropped, an isolation
  // is kept.
  else if (breaker.phase === "suspected" || outcome === "ok" || outcome === "throttled") close(state);
  else state.breaker = { ...breaker, canary: undefined, until: now + limits.canaryMs };
}

/** Opens until the next probe is due; `forMs`: in how long that is. */
export function open(limits: BreakerLimits, state: PoolState, forMs?: number): void {
  const { breaker, at: now } = state;
  const { epoch, closedAt, heldUntil, suspects, outage: known } = breaker;
  const lasting =
    breaker.phase === "open" || breaker.phase === "half-open" || now - closedAt < limits.forgetMs;
  // By hand before anything failed: no outage is known, so the first probe's interval is the shortest.
  const first: Outage = { since: now + (forMs ?? 0), openings: 0, jobs: [] };
  const since = lasting && known !== undefined ? known : first;
  const failed = breaker.phase === "closed" ? (breaker.run?.jobs ?? []) : [];
  const outage = failed.reduce((all, { job }) => withJob(limits, all, job), {
    ...since,
    openings: since.openings + 1,
  });
  const until = now + (forMs ?? intervalMs(limits, outage, now));
  state.breaker = { phase: "open", epoch: epoch + 1, closedAt, heldUntil, suspects, outage, until };
}

export function close(state: PoolState): void {
  const { breaker, at: now } = state;
  const { epoch, heldUntil, outage } = breaker;
  const closed: Closed = {
    phase: "closed",
    epoch: epoch + 1,
    closedAt: now,
    heldUntil,
    outage,
    suspects: [],
    answeredAt: now,
    answeringSince: now,
    run: undefined,
    failedLast: undefined,
    askers: [],
  };
  state.breaker = closed;
}

/** @param until when the next canary is due; 0: an operator must close. */
export function isolate(state: PoolState, until: number): void {
  const { epoch, closedAt, heldUntil, outage, suspects } = state.breaker;
  const common = { epoch, closedAt, heldUntil, outage, suspects };
  state.breaker = { ...common, phase: "isolated", until, canary: undefined };
}

/** Several calls were denied; one more, alone, shall confirm it. */
export function doubt(state: PoolState): void {
  const { epoch, closedAt, heldUntil, outage, suspects } = state.breaker;
  const common = { epoch, closedAt, heldUntil, outage, suspects };
  state.breaker = { ...common, phase: "suspected", until: state.at, canary: undefined };
}

/** The server wants no calls for a while. A longer hold is not shortened. */
export function hold(limits: BreakerLimits, state: PoolState, holdMs: number): void {
  const heldUntil = Math.max(state.breaker.heldUntil, state.at + Math.min(holdMs, limits.holdMostMs));
  state.breaker = { ...state.breaker, heldUntil };
}

/** An operator ends the hold. */
export function release(state: PoolState): void {
  state.breaker = { ...state.breaker, heldUntil: 0 };
}

/** For how long the pool takes no calls but probes, in ms; 0: it takes them. */
export function shutMs(
  { breaker: limits }: Pick<Parameters, "breaker">,
  breaker: BreakerState,
  day: DayState,
  now: number,
): number {
  const elsewhereMs = Math.max(0, day.parkedUntil - now, breaker.heldUntil - now);
  if (breaker.phase === "closed") return elsewhereMs;
  const byHand = breaker.phase === "isolated" && breaker.until === 0;
  return Math.max(
    elsewhereMs,
    byHand ? limits.canaryMs : Math.max(limits.probingLeastMs, breaker.until - now),
  );
}
