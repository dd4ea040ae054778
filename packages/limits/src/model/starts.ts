/**
 * Calls and failures by when the call started. A slow call that works ends long after a fast one that failed, so a count
 * by ends would see the failures alone. Twin of `lua/starts.lua`.
 */
import type { Parameters } from "../parameters.ts";

/** By number of the slot: time / `slotMs`. */
export type Starts = Map<number, { started: number; failed: number }>;

export function countStart(parameters: Parameters, starts: Starts, startAt: number, now: number): void {
  const { slotMs, slotsKept } = parameters;
  const slot = Math.floor(startAt / slotMs);
  const started = (starts.get(slot)?.started ?? 0) + 1;
  starts.set(slot, { started, failed: starts.get(slot)?.failed ?? 0 });
  if (started > 1) return;
  // A new slot: the time to drop those nobody will ask for, of a clock that was set back as well.
  const newest = Math.floor(now / slotMs);
  for (const one of starts.keys()) if (Math.abs(one - newest) > slotsKept) starts.delete(one);
}

/** The call told nothing about the pool: as if it had never started. */
export function uncountStart({ slotMs }: Parameters, starts: Starts, startAt: number): void {
  const slot = starts.get(Math.floor(startAt / slotMs));
  if (slot) slot.started -= 1;
}

export function countFailure({ slotMs }: Parameters, starts: Starts, startAt: number, weight: number): void {
  const slot = starts.get(Math.floor(startAt / slotMs));
  if (slot) slot.failed += weight;
}

/**
 * Whether the calls of some spell that ends with this one failed: counted from there, failures outweigh what they may be
 * among all calls started (answered, failed and still out) by `minimumCalls`. The same sum as a CUSUM test in the order
 * of starts: 40 % of failures never get there, and a total outage does in as many calls.
 */
export function spellFailed(parameters: Parameters, starts: Starts, startAt: number): boolean {
  const { slotMs, spellSlots } = parameters;
  const { minimumCalls, failureRatio } = parameters.breaker;
  const newest = Math.floor(startAt / slotMs);
  let excess = 0;
  for (let slot = newest; slot > newest - spellSlots; slot--) {
    const { started, failed } = starts.get(slot) ?? { started: 0, failed: 0 };
    excess += failed / failureRatio - started;
    if (excess >= minimumCalls) return true;
  }
  return false;
}
