/** The breaker's moments after a clock that stepped. Twin of `shiftBreaker` in `lua/state.lua`. */
import type { BreakerState, Canary, Probe } from "./state.ts";

/** Keeps every moment where it was relative to a clock that stepped. 0 is no moment. */
export function shiftBreaker(breaker: BreakerState, stepMs: number): BreakerState {
  const shift = (at: number): number => (at > 0 ? at + stepMs : at);
  const shiftProbe = (probe: Probe): Probe => ({ ...probe, until: shift(probe.until) });
  const shiftCanary = (canary: Canary): Canary => ({
    ...canary,
    until: shift(canary.until),
    startAt: canary.startAt && shift(canary.startAt),
  });
  const { outage, suspects } = breaker;
  const common = {
    closedAt: shift(breaker.closedAt),
    heldUntil: shift(breaker.heldUntil),
    suspects: suspects.map((one) => ({ ...one, at: shift(one.at), since: shift(one.since) })),
  };
  const since = outage && { ...outage, since: shift(outage.since) };
  switch (breaker.phase) {
    case "closed": {
      const { run, answeredAt, answeringSince } = breaker;
      return {
        ...breaker,
        ...common,
        outage: since,
        answeredAt: shift(answeredAt),
        answeringSince: shift(answeringSince),
        run: run && { ...run, since: shift(run.since) },
      };
    }
    case "open":
      return { ...breaker, ...common, outage: { ...breaker.outage, ...since }, until: shift(breaker.until) };
    case "half-open":
      return {
        ...breaker,
        ...common,
        outage: { ...breaker.outage, ...since },
        until: shift(breaker.until),
        probes: breaker.probes.map(shiftProbe),
      };
    case "suspected":
    case "isolated":
      return {
        ...breaker,
        ...common,
        outage: since,
        until: shift(breaker.until),
        canary: breaker.canary && shiftCanary(breaker.canary),
      };
  }
}
