/** Who has set a pool's quotas by hand, newest first: kept beside the limits, so that every program can tell. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { poolKeys } from "./keys.ts";
import type { Quota } from "./limits.ts";
import { recordLine } from "./record-script.ts";

export interface QuotaEntry {
  /** Milliseconds since the epoch, by the operator's clock. */
  readonly atMs: number;
  /** As `<user>@<host>`. */
  readonly by: string;
  readonly from: Quota;
  readonly to: Quota;
}

export interface QuotaLog {
  /** Adds an entry; the oldest beyond a hundred is dropped. */
  add(pool: string, entry: QuotaEntry): Promise<void>;
  /** Newest first. */
  entries(pool: string, limit: number): Promise<readonly QuotaEntry[]>;
}

export function createQuotaLog(redis: Redis, keySpace: KeySpace): QuotaLog {
  return {
    async add(pool, entry) {
      const { changes } = poolKeys(keySpace, pool);
      await recordLine.run(redis, { key: changes, line: JSON.stringify(entry) });
    },
    async entries(pool, limit) {
      const stored = await redis.lrange(poolKeys(keySpace, pool).changes, 0, limit - 1);
      // Written above, by this version or another: what it does not have is undefined at worst.
      return stored.map((entry): QuotaEntry => JSON.parse(entry));
    },
  };
}

/** The entry that made the quotas what they are; `undefined` when none did, or the pools file has come after it. */
export function madeBy(entries: readonly QuotaEntry[], inForce: Quota): QuotaEntry | undefined {
  const [last] = entries;
  return last !== undefined && sorted(last.to) === sorted(inForce) ? last : undefined;
}

function sorted(quota: Quota): string {
  return JSON.stringify(Object.entries(quota).toSorted(([a], [b]) => a.localeCompare(b)));
}
