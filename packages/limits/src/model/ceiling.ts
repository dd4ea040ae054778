/**
 * What the quota turns out to be. Strangers use the account too, and the server's window is unpublished, so each
 * dimension has a ceiling: a fraction of the configured rate that a throttle cuts and quiet time raises again,
 * along the cubic curve of TCP CUBIC. Twin of `lua/ceiling.lua`.
 */
import type { CeilingLimits } from "../limits.ts";
import type { DimensionState, PoolState } from "./state.ts";

/** Raises the ceiling to where the curve is by now: quickly back towards the last peak, slowly past it. */
export function grow(limits: CeilingLimits, at: DimensionState, now: number): void {
  const seconds = (now - at.cutAt) / 1_000;
  const plateau = ((at.peak - at.floor) / limits.growth) ** (1 / 3);
  const curve = limits.growth * (seconds - plateau) ** 3 + at.peak;
  at.ceiling = Math.min(1, Math.max(at.floor, curve));
}

/** Calls that were in flight together are throttled together, so a storm counts once. */
export function cut(limits: CeilingLimits, at: DimensionState, perMs: number, now: number): void {
  if (now - at.cutAt < limits.cutGapMs) return;
  const again = now - at.cutAt < limits.relapseMs;
  at.cuts = again ? at.cuts + 1 : 1;
  // When one cut was not enough, how far to fall is a guess; do not forget where it began.
  at.peak = again ? Math.max(at.ceiling, at.peak * limits.peakKeep) : at.ceiling;
  at.floor = Math.max(limits.least, at.ceiling * limits.keep);
  at.ceiling = at.floor;
  at.cutAt = now;
  // Whatever the level said, the server had nothing left. If that goes on, a window is used up and only time
  // will help: wait for longer each time instead of asking once a second.
  const pauseMs = again ? Math.min(limits.pauseMostMs, limits.pauseMs * 2 ** (at.cuts - 2)) : 0;
  at.level = Math.min(at.level, -perMs * at.ceiling * pauseMs);
}

/** After an outage: begins again from at most half, and comes back along the same curve. */
export function ramp(limits: CeilingLimits, state: PoolState, now: number): void {
  for (const at of Object.values(state.dimensions)) {
    if (at.ceiling <= limits.restart) continue;
    at.peak = at.ceiling;
    at.floor = limits.restart;
    at.ceiling = limits.restart;
    at.cutAt = now;
  }
}
