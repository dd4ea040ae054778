/** Who has set a pool's quotas by hand, newest first: kept beside the limits, so that every program can tell. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { poolKeys } from "./keys.ts";
import type { Quota } from "./limits.ts";
import { parsedLine } from "./record-lines.ts";
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
  /** Newest first. What this version cannot read is left out. */
  entries(pool: string, limit: number): Promise<readonly QuotaEntry[]>;
}

export function createQuotaLog(redis: Redis, keySpace: KeySpace): QuotaLog {
  return {
    async add(pool, entry) {
      const { changes } = poolKeys(keySpace, pool);
      await recordLine.run(redis, { key: changes, line: JSON.stringify({ version: 1, ...entry }) });
    },
    async entries(pool, limit) {
      const stored = await redis.lrange(poolKeys(keySpace, pool).changes, 0, limit - 1);
      return stored.flatMap((line) => entryOf(parsedLine(line)) ?? []);
    },
  };
}

/** What a line says; `undefined` for one of a newer version, or none of any. One without a version is of the first. */
function entryOf(line: unknown): QuotaEntry | undefined {
  if (!isRecord(line) || (line["version"] ?? 1) !== 1) return undefined;
  const { atMs, by, from, to } = line;
  if (typeof atMs !== "number" || typeof by !== "string" || !isQuota(from) || !isQuota(to)) return undefined;
  return { atMs, by, from, to };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isQuota(value: unknown): value is Quota {
  return isRecord(value) && Object.values(value).every((quota) => typeof quota === "number");
}

/** The entry that made the quotas what they are; `undefined` when none did, or the pools file has come after it. */
export function madeBy(entries: readonly QuotaEntry[], inForce: Quota): QuotaEntry | undefined {
  const [last] = entries;
  return last !== undefined && sorted(last.to) === sorted(inForce) ? last : undefined;
}

function sorted(quota: Quota): string {
  return JSON.stringify(Object.entries(quota).toSorted(([a], [b]) => a.localeCompare(b)));
}
