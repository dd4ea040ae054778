import type { Window, WindowOptions } from "./window.ts";

/** Dropped entries stay in the array until this many pile up: shifting one by one would be quadratic. */
const COMPACT_AFTER = 1_024;

/** A log of the last `capacitySeconds`: what was taken comes back exactly that much later. */
export function slidingWindow(options: WindowOptions): Window {
  const lengthMs = options.capacitySeconds * 1_000;
  const capacity = (options.perMinute / 60) * options.capacitySeconds * (1 - options.strangerShare);
  let log: { readonly atMs: number; amount: number }[] = [];
  let oldest = 0;
  let used = 0;

  const expire = (now: number): void => {
    for (let entry = log[oldest]; entry !== undefined && entry.atMs <= now - lengthMs; entry = log[oldest]) {
      used -= entry.amount;
      oldest += 1;
    }
    if (oldest === log.length) used = 0; // an empty log ends whatever rounding has piled up
    if (oldest >= COMPACT_AFTER) {
      log = log.slice(oldest);
      oldest = 0;
    }
  };

  return {
    available: (now) => {
      expire(now);
      return capacity - used;
    },
    take: (now, amount) => {
      expire(now);
      used += amount;
      log.push({ atMs: now, amount });
    },
    giveBack: (now, amount, takenAtMs) => {
      expire(now);
      // Searched from the end: most calls are shorter than the window is long.
      const entry = log.findLast((candidate) => candidate.atMs <= takenAtMs);
      if (entry === undefined || entry.atMs !== takenAtMs || entry.atMs <= now - lengthMs) return;
      entry.amount -= amount;
      used -= amount;
    },
  };
}
