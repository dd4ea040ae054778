/** Where the limiter keeps things. All keys of a scope carry its hash tag, so one script may touch them. */
import type { KeySpace } from "@sluice/redis";

export interface PoolKeys {
  /** Hash: the limits as declared, the parameters made of them, their version. Owned by the pools file. */
  readonly limits: string;
  /** The pool's state, MessagePack. No TTL: an idle pool must not look like a lost Redis. */
  readonly state: string;
  /** Hash: reservation id to reservation. Entries are dropped by `expiry`. */
  readonly reservations: string;
  /** Sorted set: reservation id by the time it is dropped. */
  readonly expiry: string;
}

export function poolKeys(space: KeySpace, pool: string): PoolKeys {
  const prefix = `${space}:limits:${pool}`;
  return {
    limits: `${prefix}:limits`,
    state: `${prefix}:state`,
    reservations: `${prefix}:reservations`,
    expiry: `${prefix}:expiry`,
  };
}
