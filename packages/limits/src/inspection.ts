/** A pool as its operators see it. */
import type { RateDimension } from "./cost.ts";
import type { LaneBound } from "./lane-bound.ts";
import type { BreakerPhase, Closure } from "./limiter.ts";
import type { PoolLimits } from "./limits.ts";

export interface Inspection {
  readonly pool: string;
  /** The limiter's clock, ms. All `…AtMs` below are on it. */
  readonly atMs: number;
  readonly version: number;
  readonly limits: PoolLimits;
  readonly dimensions: Readonly<Partial<Record<RateDimension, DimensionInspection>>>;
  /** From most to least urgent. */
  readonly lanes: readonly LaneInspection[];
  /** For how long the pool takes no calls but probes, ms: by its breaker, a hold or the day. 0: it takes calls. */
  readonly shutMs: number;
  /** Whether it takes calls now. The phase alone does not say: a suspected pool lets one canary in and nobody else. */
  readonly takesCalls: boolean;
  readonly breaker: BreakerInspection;
  readonly day: { readonly used: number; readonly quota: number | undefined; readonly parkedUntilMs: number };
  /** Retries in hand. */
  readonly retries: number;
  /** Calls between admit and settle. */
  readonly reservations: number;
  /** Processes that are denied what others are answered, for a role of their own. They may have ended since. */
  readonly deniedProcesses: readonly DeniedInspection[];
}

export interface DeniedInspection {
  readonly process: string;
  readonly operation: string;
  /** `undefined`: not known. */
  readonly sinceMs: number | undefined;
}

export interface BreakerInspection {
  readonly phase: BreakerPhase;
  /** An operator has opened or isolated it: nothing that calls met did. */
  readonly byHand: boolean;
  readonly epoch: number;
  /** When the next probe is due; 0: none, as of a pool that was isolated by hand. */
  readonly probeDueAtMs: number;
  /** In this outage, or in the last one while it is remembered; those after a failed probe included. */
  readonly openings: number;
  /** The reservations that probe. */
  readonly probes: readonly string[];
  /** Systemic failures in a row. */
  readonly suspects: number;
  /** Failures in a row, as the breaker weighs them. */
  readonly failures: number;
  /** The server asked for no calls until then; 0: it did not. */
  readonly heldUntilMs: number;
}

export interface DimensionInspection {
  /** What may be spent now; negative while work is promised ahead. */
  readonly level: number;
  /** What an idle pool saves up. */
  readonly capacity: number;
  /** The rate in use now: quota x pace x share x ceiling. */
  readonly perMinute: number;
  /** Fraction of the rate in use. 1 - ceiling is what strangers are suspected to take. */
  readonly ceiling: number;
}

export interface LaneInspection {
  readonly name: string;
  /** When the next waiter would be told to return. */
  readonly ticketAtMs: number;
  /** Guaranteed share saved up, in ms of quota. */
  readonly creditMs: number;
  /** Drawn of the private reserve, in ms of quota. */
  readonly drawnMs: number;
  /** What the lane uses of its reservations, on average. */
  readonly usage: number;
  /** What the lane gets whatever the others ask for. */
  readonly bound: LaneBound;
}

export interface Explanation {
  /** What `admit` would answer now; `probe`: the call would decide whether the pool opens again. */
  readonly answer: "granted" | "probe" | "wait" | "open";
  /** With `open`: why the pool takes no calls. */
  readonly cause: Closure | undefined;
  /** The breaker's phase: a `breaker` that takes no calls may be open, or suspect that access is denied. */
  readonly phase: BreakerPhase;
  /** An operator has opened or isolated it. Isolated by hand, the pool makes no call until one closes its breaker. */
  readonly byHand: boolean;
  /** Until the call could start (granted), or until it would be told to ask again. */
  readonly afterMs: number;
  /** What is missing in each dimension that is short, and when it will have accrued if nobody else takes it. */
  readonly missing: Readonly<
    Partial<Record<RateDimension, { readonly amount: number; readonly inMs: number }>>
  >;
  /** What the pool has promised to others already, in ms of quota. */
  readonly backlogMs: number;
  /** How far ahead this lane may commit now, its reserve included. */
  readonly horizonMs: number;
}
