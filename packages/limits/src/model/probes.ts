/** The probes of an outage. Twin of `lua/probes.lua`. */
import type { BreakerLimits } from "../limits.ts";
import type { HalfOpen, Open, Outage, Probe } from "./state.ts";

/** Probes grow rarer with the age of the outage, so that one of a minute is over for callers soon after its end. */
export function intervalMs(limits: BreakerLimits, { since }: Outage, now: number): number {
  return Math.min(limits.openMostMs, Math.max(limits.openMs, (now - since) * limits.openPart));
}

export function liveProbes(breaker: Open | HalfOpen, now: number): readonly Probe[] {
  return breaker.phase === "open" ? [] : breaker.probes.filter(({ until }) => now < until);
}
