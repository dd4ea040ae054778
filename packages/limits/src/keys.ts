/** Where the limiter keeps things. All keys of a scope carry its hash tag, so one script may touch them. */
import type { KeySpace } from "@sluice/redis";

export interface PoolKeys {
  /** Hash: limits as declared and as in force, the parameters made of them, their version. */
  readonly limits: string;
  /** The pool's state, MessagePack. */
  readonly state: string;
  /** Hash: reservation id to reservation. Each entry is dropped by its time in `expiry`. */
  readonly reservations: string;
  /** Sorted set: reservation id by the time it is dropped. */
  readonly expiry: string;
  /** List: quotas set by hand, newest first. A hundred at most. */
  readonly changes: string;
  /** List: what people did by hand, newest first. A hundred at most. */
  readonly operations: string;
  /** Hash: calls and failures by slots of their start, five minutes of them, and the last answers by operation. */
  readonly starts: string;
  /** What version 0.1 counted outcomes in; nobody reads it any more, and it expires. */
  readonly formerOutcomes: string;
  /** Tokens per day, of the scope. */
  readonly day: string;
}

/**
 * No key has a TTL: a pool that was idle must not look like one whose state was lost. Their owner is the pools
 * file; none grows with traffic beyond the calls in flight.
 */
export function poolKeys(space: KeySpace, pool: string): PoolKeys {
  const prefix = `${space}:limits:${pool}`;
  return {
    limits: `${prefix}:limits`,
    state: `${prefix}:state`,
    reservations: `${prefix}:reservations`,
    expiry: `${prefix}:expiry`,
    changes: `${prefix}:changes`,
    operations: `${prefix}:operations`,
    starts: `${prefix}:starts`,
    formerOutcomes: `${prefix}:outcomes`,
    // A pool's name has no upper case, so no pool's prefix is this key.
    day: `${space}:limits:DAY`,
  };
}

/** Where state changes of all pools of a scope are published. */
export function newsChannel(space: KeySpace): string {
  return `${space}:limits:news`;
}
