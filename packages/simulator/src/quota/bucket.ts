import type { Window, WindowOptions } from "./window.ts";

/** A token bucket: refills continuously, holds `capacitySeconds` of quota, may go into debt. */
export function bucketWindow(options: WindowOptions, nowMs: number): Window {
  const capacity = (options.perMinute / 60) * options.capacitySeconds;
  // A steady stranger is a slower refill. It cannot drain a full bucket, since refill outpaces it.
  const refillPerMs = (options.perMinute / 60_000) * (1 - options.strangerShare);
  let level = capacity * options.initialFill;
  let updatedAtMs = nowMs;

  const refill = (now: number): void => {
    level = Math.min(capacity, level + Math.max(0, now - updatedAtMs) * refillPerMs);
    updatedAtMs = Math.max(updatedAtMs, now);
  };

  return {
    available: (now) => {
      refill(now);
      return level;
    },
    take: (now, amount) => {
      refill(now);
      level -= amount;
    },
    giveBack: (now, amount) => {
      refill(now);
      level = Math.min(capacity, level + amount);
    },
  };
}
