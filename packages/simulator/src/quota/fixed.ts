import type { Window, WindowOptions } from "./window.ts";

/** A counter per clock interval: full again at each boundary, however much was used just before it. */
export function fixedWindow(options: WindowOptions, nowMs: number): Window {
  const lengthMs = options.capacitySeconds * 1_000;
  const capacity = (options.perMinute / 60) * options.capacitySeconds;
  const strangerPerMs = (options.perMinute / 60_000) * options.strangerShare;
  const indexOf = (timeMs: number): number => Math.floor(timeMs / lengthMs);
  let index = indexOf(nowMs);
  let used = 0;

  const roll = (now: number): void => {
    if (indexOf(now) <= index) return;
    index = indexOf(now);
    used = 0;
  };

  return {
    available: (now) => {
      roll(now);
      return capacity - used - (now - index * lengthMs) * strangerPerMs;
    },
    take: (now, amount) => {
      roll(now);
      used += amount;
    },
    giveBack: (now, amount, takenAtMs) => {
      roll(now);
      if (indexOf(takenAtMs) === index) used -= amount;
    },
  };
}
