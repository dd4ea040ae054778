/** The probes of an outage, and what is known of canaries. Twin of `lua/probes.lua`. */
import type { BreakerLimits } from "../limits.ts";
import type { HalfOpen, Open, Outage, Probe } from "./state.ts";

/**
 * Access is checked before anything else, and denied within a fraction of a second. A call that is still out after this was
 * let in, however long its model takes.
 */
export const LET_IN_MS = 3_000;

/**
 * For how long a probe has its place, and keeps the pool from opening again when another has failed. Long enough for nearly
 * every answer, and what answers later is heard all the same.
 */
export const PLACE_MS = 60_000;

/** Processes that are known to be denied access. Of more none is tried out of turn. */
export const DENIED_MOST = 64;

/** Probes grow rarer with the age of the outage, so that one of a minute is over for callers soon after its end. */
export function intervalMs(limits: BreakerLimits, { since }: Outage, now: number): number {
  return Math.min(limits.openMostMs, Math.max(limits.openMs, (now - since) * limits.openPart));
}

export function liveProbes(breaker: Open | HalfOpen, now: number): readonly Probe[] {
  return breaker.phase === "open" ? [] : breaker.probes.filter(({ until }) => now < until);
}
