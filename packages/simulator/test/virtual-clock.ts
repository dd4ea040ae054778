/** Time that passes only while somebody waits for it: a minute of the model is a moment of the test. */
import type { Clock } from "../src/index.ts";

export interface VirtualClock extends Clock {
  /** Lets time pass by itself. */
  advance(ms: number): void;
}

export function virtualClock(startMs: number): VirtualClock {
  let now = startMs;
  return {
    now: () => now,
    sleep: async (ms) => {
      now += Math.max(0, ms);
    },
    advance: (ms) => {
      now += ms;
    },
  };
}
