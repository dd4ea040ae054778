/** What keeps a pool from its whole quota, as its operators should hear of it. Pure. */
import type { RateDimension } from "./cost.ts";
import type { Inspection } from "./inspection.ts";

/** A cut to this much is worth a word; one throttle by itself often cuts less, and is soon forgotten. */
const CUT = 0.9;

/** From here on a ceiling has grown back. */
const RESTORED = 0.98;

export interface Slowed {
  /** Why it takes no calls, and for how long as far as that is known; `undefined` when it takes them. */
  readonly shut:
    | { readonly cause: "breaker" | "isolated" | "day" | "hold"; readonly forMs: number }
    | undefined;
  readonly ceilings: readonly Ceiling[];
}

export interface Ceiling {
  readonly dimension: RateDimension;
  /** `between`: neither far below the quota nor back; what was said of it last holds. */
  readonly state: "cut" | "between" | "whole";
  /** Fraction of the rate in use, and what that is per minute. */
  readonly ceiling: number;
  readonly perMinute: number;
}

export function slowed({ takesCalls, shutMs, atMs, day, breaker, dimensions }: Inspection): Slowed {
  const isolated = breaker.phase === "isolated";
  const cause =
    day.parkedUntilMs > atMs
      ? "day"
      : breaker.heldUntilMs > atMs
        ? "hold"
        : isolated
          ? "isolated"
          : "breaker";
  return {
    shut: takesCalls ? undefined : { cause, forMs: shutMs },
    ceilings: Object.entries(dimensions).map(([dimension, { ceiling, perMinute }]) => ({
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `entries` forgets what the keys are
      dimension: dimension as RateDimension,
      state: ceiling < CUT ? "cut" : ceiling < RESTORED ? "between" : "whole",
      ceiling,
      perMinute: Math.round(perMinute),
    })),
  };
}
