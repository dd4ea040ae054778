/**
 * What the quota turns out to be. Strangers use the account too, and the server's window is unpublished, so each
 * dimension has a ceiling: a fraction of the configured rate that a throttle cuts and quiet time raises again,
 * along the cubic curve of TCP CUBIC. Twin of `lua/ceiling.lua`.
 */
import type { Dimension } from "../cost.ts";
import type { CeilingLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { ratesOf, type DimensionState, type PoolState } from "./state.ts";

/** Raises the ceiling to where the curve is by now: quickly back towards the last peak, slowly past it. */
export function grow(limits: CeilingLimits, at: DimensionState, now: number): void {
  if (at.ceiling >= 1) return;
  const seconds = (now - at.cutAt) / 1_000;
  const plateau = ((at.peak - at.floor) / limits.growth) ** (1 / 3);
  const curve = limits.growth * (seconds - plateau) ** 3 + at.peak;
  at.ceiling = Math.min(1, Math.max(at.floor, curve));
}

/** A throttle: cuts the dimension that the server named, or the one that looks guilty. */
export function cutFor(
  parameters: Parameters,
  state: PoolState,
  named: Dimension | undefined,
  now: number,
): void {
  const known = named === undefined ? undefined : state.dimensions[named];
  if (known && named !== undefined && named in parameters.rates) return cut(parameters.ceiling, known, now);
  let emptiest = Infinity;
  for (const { at, capacity } of ratesOf(parameters, state)) {
    emptiest = Math.min(emptiest, at.level / capacity);
  }
  // Named but not ours to count, or none of them near empty: any of them may be the one.
  const unsure = named !== undefined || emptiest > parameters.ceiling.unsureAbove;
  for (const { at, capacity } of ratesOf(parameters, state)) {
    if (unsure || at.level / capacity <= emptiest) cut(parameters.ceiling, at, now);
  }
}

/** Calls that were in flight together are throttled together, so a storm counts once. */
function cut(limits: CeilingLimits, at: DimensionState, now: number): void {
  if (now - at.cutAt < limits.cutGapMs) return;
  at.peak = at.ceiling;
  at.floor = Math.max(limits.least, at.ceiling * limits.keep);
  at.ceiling = at.floor;
  at.cutAt = now;
  // Whatever the level said, the server had nothing left.
  at.level = Math.min(at.level, 0);
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
