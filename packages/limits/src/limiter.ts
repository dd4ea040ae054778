/**
 * The limiter as its users see it: ask before a call, report after it. Two implementations with one behaviour:
 * `createRedisLimiter` for a fleet, `createMemoryLimiter` for tests and simulations.
 */
import type { Cost, Dimension } from "./cost.ts";
import type { PoolLimits } from "./limits.ts";

export interface AdmitRequest {
  readonly pool: string;
  readonly lane: string;
  /**
   * Names the reservation: `<job id>/<attempts started>/<pool>`. Asking again under an id that holds a
   * reservation returns the same grant, so a resent command reserves nothing twice.
   */
  readonly id: string;
  /** What the call reserves. */
  readonly cost: Cost;
  /** How long after its start an unsettled reservation is dropped: call timeout + 60 s. Milliseconds. */
  readonly ttlMs: number;
}

/** The answer to `admit`. */
export type Admission =
  /** The reservation is held. Sleep `waitMs`, then call. */
  | { readonly type: "granted"; readonly waitMs: number }
  /** Nothing is held. Ask again after `afterMs`; another time of return than every other waiter's. */
  | { readonly type: "wait"; readonly afterMs: number };

/**
 * How the call ended, as far as the limiter cares.
 * `ok`: Bedrock answered. `failed`: Bedrock or the way to it failed. `throttled`: refused for a quota.
 * `neutral`: says nothing about the pool (validation error, own abort, call never made).
 */
export type SettleOutcome = "ok" | "failed" | "throttled" | "neutral";

export interface Settlement {
  readonly pool: string;
  readonly id: string;
  readonly outcome: SettleOutcome;
  /** What the call really used. A dimension that is left out counts as reserved; 0 gives it all back. */
  readonly actual: Cost;
  /** With `throttled`: the quota that refused the call, when the message told. */
  readonly throttledDimension?: Dimension;
}

export type SettleReply =
  | { readonly type: "settled" }
  /** No such reservation: settled before, or expired. Nothing was changed. */
  | { readonly type: "late" };

export interface Limiter {
  /**
   * Declares a pool's limits; every worker calls it at start with what the pools file says.
   * @throws RangeError naming the setting that is out of range.
   */
  configure(pool: string, limits: PoolLimits): Promise<void>;
  /**
   * May this call go now? One atomic step for the whole fleet.
   * @throws RangeError for an unknown pool or lane.
   */
  admit(request: AdmitRequest): Promise<Admission>;
  /** Returns what was reserved and not used, exactly once per reservation. */
  settle(settlement: Settlement): Promise<SettleReply>;
}
