/** Whether a call may pass the breaker, and the place of a probe. Twin of `lua/door.lua`. */
import type { Closure } from "../limiter.ts";
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { DENIED_MOST, intervalMs, liveProbes, PLACE_MS } from "./probes.ts";
import type { BreakerState, HalfOpen, Isolated, Open, PoolState, Suspected } from "./state.ts";

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
  /** '' if it has no name. */
  readonly process: string;
}

/** Whoever sleeps at a gate is back within this time: a process that was not denied makes the canary, if there is one. */
const OTHERS_FIRST_MS = 6_000;

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

/**
 * A failed service is tried with a job that has not failed in this outage, if one waits in any lane, and with the most
 * urgent work first.
 */
function probeDoor(limits: BreakerLimits, breaker: Open | HalfOpen, knocker: Knocker, now: number): Door {
  const { rank, last, job } = knocker;
  const turn = breaker.outage.jobs.includes(job) ? last + 1 + rank : rank;
  const due = breaker.until + turn * limits.staggerMs;
  if (now >= due) return { type: "probe" };
  // Whoever waits for another's probe comes back soon: it may be answered at any moment.
  return liveProbes(breaker, now).length === 0
    ? { type: "shut", afterMs: due - now, cause: "breaker" }
    : { type: "shut", afterMs: probingMs(limits, due - now), cause: "probing" };
}

/** Access is tried with the least urgent work, and by a process that was not denied it if there is one. */
function canaryDoor(
  limits: BreakerLimits,
  breaker: Suspected | Isolated,
  knocker: Knocker,
  now: number,
): Door {
  const { phase, until, canary } = breaker;
  const isolated = phase === "isolated";
  if (isolated && until === 0) return { type: "shut", afterMs: limits.canaryMs, cause: "isolated" };
  const due = canaryDueAt(limits, breaker, knocker);
  if (now < due) return { type: "shut", afterMs: due - now, cause: isolated ? "isolated" : "breaker" };
  if (canary === undefined || now >= canary.until) return { type: "probe" };
  return { type: "shut", afterMs: probingMs(limits, canary.until - now), cause: "probing" };
}

function canaryDueAt(
  { staggerMs }: BreakerLimits,
  { phase, until, deniedTo, another }: Suspected | Isolated,
  { rank, last, process }: Knocker,
): number {
  const due = until + (last - rank) * staggerMs;
  const denied = deniedTo.includes(process);
  if (phase === "suspected") return denied && another ? due + OTHERS_FIRST_MS : due;
  // What isolated the pool may be the others' own affair.
  const mayKnowBetter = process !== "" && deniedTo.length > 0 && deniedTo.length < DENIED_MOST && !denied;
  return mayKnowBetter ? 0 : due;
}

function probingMs({ probingLeastMs, probingMostMs }: BreakerLimits, waitMs: number): number {
  return Math.max(probingLeastMs, Math.min(probingMostMs, waitMs));
}

/**
 * Hands out a probe. The next is due an interval later, whether or not this one has told anything by then; beyond
 * `probesMost` it takes the place of the eldest.
 */
export function leaseProbe(
  limits: BreakerLimits,
  state: PoolState,
  { id, startAt, ttlMs }: { id: string; startAt: number; ttlMs: number },
): void {
  const { breaker } = state;
  const leaseMs = ttlMs > limits.leaseTrimMs ? ttlMs - limits.leaseTrimMs : ttlMs;
  const probe = { id, until: startAt + Math.min(PLACE_MS, leaseMs) };
  switch (breaker.phase) {
    case "closed":
      return;
    case "open":
    case "half-open": {
      const { phase, epoch, closedAt, heldUntil, suspects, outage } = breaker;
      const successes = phase === "open" ? 0 : breaker.successes;
      const live = phase === "open" ? [] : liveProbes(breaker, state.at);
      const probes = [...live, probe].slice(-limits.probesMost);
      const until = startAt + intervalMs(limits, outage, startAt);
      const common = { epoch, closedAt, heldUntil, suspects, outage };
      state.breaker = { ...common, phase: "half-open", until, probes, successes };
      return;
    }
    case "suspected":
    case "isolated":
      state.breaker = { ...breaker, canary: { ...probe, startAt } };
  }
}
