/** One metered quantity over time. Three implementations; the real service does not say which one it is. */

/** Tokens or requests that flow at a known rate. Time is an argument and must not go backwards. */
export interface Window {
  /** What may be taken now. Negative while in debt. */
  available(nowMs: number): number;
  /** Takes unconditionally; the caller has looked at `available`, or charges a debt. */
  take(nowMs: number, amount: number): void;
  /** Gives back part of what was taken at `takenAtMs`. Without effect once that moment has left the window. */
  giveBack(nowMs: number, amount: number, takenAtMs: number): void;
}

/** The figures of a window. */
export interface WindowOptions {
  readonly perMinute: number;
  /** Seconds of quota the window holds. */
  readonly capacitySeconds: number;
  /** How full a bucket starts, 0 to 1. Fixed and sliding windows always start unused. */
  readonly initialFill: number;
  /** The share of the quota that a steady stranger takes, 0 to 1. */
  readonly strangerShare: number;
}

/** Sums of many fractions drift by less than this; no price is smaller. */
export const ROUNDING = 1e-6;
