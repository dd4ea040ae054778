/** What an operator does to a pool: read it, change its limits, move its breaker by hand. */
import type { Cost } from "./cost.ts";
import type { Explanation, Inspection } from "./inspection.ts";
import type { Limiter, LimitsChange } from "./limiter.ts";
import type { PoolLimits, Quota } from "./limits.ts";

/** Quotas to change; `null` takes a quota away. */
export type QuotaChange = { readonly [Name in keyof Quota]?: number | null };

export type OperatorAction =
  /** Takes no calls for `forMs`, then probes. */
  | { readonly type: "open"; readonly forMs: number }
  /** Takes calls again, at a rate that rises from half when the breaker was open. */
  | { readonly type: "close" }
  /** Takes no calls, and tries none, until an operator closes. */
  | { readonly type: "isolate" }
  /** Ends the parking of the whole scope after a throttle for tokens per day. */
  | { readonly type: "release-day" };

export interface LimitsOperator {
  /**
   * Changes quotas at run time, for every worker at once. Lasts until the pools file says something new.
   * @returns the version of the limits now in force.
   * @throws RangeError naming the quota that is out of range.
   */
  setQuota(pool: string, change: QuotaChange): Promise<number>;
  /** @returns what changed. */
  operate(pool: string, action: OperatorAction): Promise<readonly LimitsChange[]>;
  /**
   * Redis has lost its data: declares the pool again, to start with nothing in hand and at half its rate, also when another
   * program has declared it since. Safe to repeat.
   */
  restore(pool: string, limits: PoolLimits): Promise<void>;
  /** The pool as it is now. Changes nothing. */
  inspect(pool: string): Promise<Inspection>;
  /** What would happen to a call of this cost now, and what it waits for. Changes nothing. */
  explain(pool: string, lane: string, cost: Cost): Promise<Explanation>;
}

export type OperableLimiter = Limiter & LimitsOperator;

/** The limits with some quotas changed. */
export function withQuota(limits: PoolLimits, change: QuotaChange): PoolLimits {
  const merged = Object.entries({ ...limits.quota, ...change }).filter(([, quota]) => quota !== null);
  return { ...limits, quota: Object.fromEntries(merged) };
}
