/**
 * The limiter as its users see it: ask before a call, report after it. Two implementations with one behaviour:
 * `createRedisLimiter` for a fleet, `createMemoryLimiter` for tests and simulations.
 */
import type { Cost, Dimension, RateDimension } from "./cost.ts";
import type { PoolLimits } from "./limits.ts";
import type { Operation } from "./operations.ts";

export interface AdmitRequest {
  readonly pool: string;
  readonly lane: string;
  /**
   * Names the reservation; the limiter reads nothing into it. Asking again under an id that holds a reservation
   * returns the same grant, so a resent command reserves nothing twice.
   */
  readonly id: string;
  /** The job that calls: the breaker tells one job that always fails from a pool that does. */
  readonly job: string;
  /** The process that asks, so that one that is denied is told from a pool that is. Default: one nameless process. */
  readonly process?: string;
  /** What access is about, as in `Settlement`. */
  readonly operation?: string;
  /** What the call reserves. */
  readonly cost: Cost;
  /** How long after its start an unsettled reservation is dropped: call timeout + 60 s. Milliseconds. */
  readonly ttlMs: number;
}

/** Why a pool takes no calls. */
export type Closure =
  /** The breaker is open: the pool fails. */
  | "breaker"
  /** One call finds out whether the pool works again; this is not the one. */
  | "probing"
  /** Access is denied: every call would fail, whatever it asks. */
  | "isolated"
  /** Tokens per day are used up, the pool's or the scope's. */
  | "day"
  /** This call reserves more than is left of the day, `afterMs` of it; smaller ones may go. */
  | "day-rest"
  /** The server asked to be left alone for a while (`Retry-After`). */
  | "hold"
  /** `process` alone is denied `operation`: another may make the call. It tries again now and then. */
  | "denied"
  /** This process cannot reach Redis (see `guardLimiter`). */
  | "local";

/** The answer to `admit`. `changes` are the state changes this very call made, if any. */
export type Admission = { readonly changes?: readonly LimitsChange[] } & (
  | {
      /** The reservation is held. Sleep `waitMs`, then call. */
      readonly type: "granted";
      readonly waitMs: number;
      /** The call decides whether the pool opens again. Present only when true. */
      readonly probe?: true;
    }
  /** Nothing is held. Ask again after `afterMs`; another time of return than every other waiter's. */
  | { readonly type: "wait"; readonly afterMs: number }
  /** Nothing is held, and the pool takes no calls for now. */
  | { readonly type: "open"; readonly afterMs: number; readonly cause: Closure }
);

/**
 * How the call ended, as far as the limiter cares.
 * `ok`: Bedrock answered. `failed`: Bedrock or the way to it failed (5xx, overloaded, cut, connection).
 * `timeout`: failed by silence. `throttled`: refused for a quota. `systemic`: access denied.
 * `neutral`: says nothing about the pool (validation error, own abort, call never made).
 */
export type SettleOutcome = "ok" | "failed" | "timeout" | "throttled" | "systemic" | "neutral";

export interface Settlement {
  readonly pool: string;
  readonly id: string;
  readonly outcome: SettleOutcome;
  /**
   * What the call really used. A dimension that is left out counts as reserved; 0 gives it all back. A throttled
   * call is charged as reserved whatever it says here when the throttle is a sign of the quota: the server had less
   * than the level claimed.
   */
  readonly actual: Cost;
  /** With `throttled`: the quota that refused the call, when the message told. */
  readonly throttledDimension?: Dimension;
  /** With `failed` and `timeout`: how much the failure counts, 0.5 for one that may be the model's own. Default 1. */
  readonly weight?: number;
  /**
   * What access is about: the kind of call (`converse`, `stream`, `invoke`, `invoke-stream`, `async`), since a pool has one
   * model. Sent with every outcome: a systemic failure is told from a job's own mistake by whether the operation answers
   * others. Default: one nameless operation.
   */
  readonly operation?: string;
  /**
   * The server's `Retry-After`, ms. The whole pool takes no calls for that long, at most five minutes. Ignored with `ok`,
   * with `systemic`, with a throttle that is no sign of the quota (a call too large for it, or one of the few that a
   * healthy service refuses at any rate), and with any other failure while the pool answers most of its calls.
   */
  readonly holdMs?: number;
  /** The job wants another try: ask the pool's retry budget. Default false. */
  readonly retry?: boolean;
}

export type SettleReply =
  | {
      readonly type: "settled";
      /**
       * Only when asked for. `exhausted`: the pool has too many retries already; do not give the job up, but
       * delay it by the longest backoff.
       */
      readonly retry?: "granted" | "exhausted";
      /**
       * Of a call that was not answered: how long ago the pool last answered one of another job. Absent: not within
       * memory. Answers that follow one another within 10 ms count as one.
       */
      readonly answeredAgoMs?: number;
      /** The same for calls of this operation. */
      readonly operationAnsweredAgoMs?: number;
      /** The call was to find out whether the pool works again. */
      readonly probe: boolean;
      /** For how long the pool takes no calls from now, ms. 0: it takes them. */
      readonly shutMs: number;
      /** With `throttled`: the largest reservation that was answered lately, in tokens. Absent: none was. */
      readonly largestPassed?: number;
      readonly changes?: readonly LimitsChange[];
    }
  /** No such reservation: settled before, or expired. Nothing was changed. */
  | { readonly type: "late"; readonly retry?: never };

export type BreakerPhase = "closed" | "open" | "half-open" | "suspected" | "isolated";

/** News about a pool. Published to all processes as a hint; the next `admit` answers by the state itself. */
export type LimitsChange =
  | {
      readonly type: "breaker";
      readonly pool: string;
      readonly from: BreakerPhase;
      readonly to: BreakerPhase;
      readonly epoch: number;
      /** When the next probe is due, in ms of the limiter's clock. 0: when an operator says so. */
      readonly untilMs: number;
    }
  /** The server asked for it: the pool takes no calls until then. */
  | { readonly type: "hold"; readonly pool: string; readonly untilMs: number }
  /** Every pool of the scope is parked until then, or this one `alone`; 0: released. */
  | { readonly type: "day"; readonly pool: string; readonly untilMs: number; readonly alone?: true }
  /** The server gives far less than the quota says (`doubtful`), or no longer does. */
  | {
      readonly type: "quota-doubtful";
      readonly pool: string;
      readonly dimension: RateDimension;
      readonly doubtful: boolean;
      /** Fraction of the rate in use now, and what that is per minute. */
      readonly ceiling: number;
      readonly perMinute: number;
    }
  /** Nobody, or `process` alone, may call this operation of a pool that answers others (`denied`), or it is answered again. */
  | {
      readonly type: "operation-denied";
      readonly pool: string;
      readonly operation: string;
      readonly denied: boolean;
      readonly process?: string;
    }
  | { readonly type: "limits"; readonly pool: string; readonly version: number }
  /** Somebody acts by hand, or has. */
  | ({ readonly type: "operated"; readonly pool: string } & Operation);

export interface Limiter {
  /**
   * Declares a pool's limits; every worker calls it at start with what the pools file says, and again every
   * `REDECLARE_MS`, since a declaration counts for a minute. One that is already known changes nothing, so a restart keeps
   * what an operator has set since. Of several that count the one that was declared last is in force, with the lanes that
   * only the others have behind its own. The limiter remembers since when its own are known, and says so again to a Redis
   * that has lost it.
   * @throws RangeError naming the setting that is out of range.
   */
  configure(pool: string, limits: PoolLimits): Promise<void>;
  /**
   * May this call go now? One atomic step for the whole fleet.
   * @throws RangeError for an unknown pool or lane.
   */
  admit(request: AdmitRequest): Promise<Admission>;
  /** Returns what was reserved and not used, exactly once per reservation, and learns from the outcome. */
  settle(settlement: Settlement): Promise<SettleReply>;
}
