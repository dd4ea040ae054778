/** The call in flight of a job, as the ledger has it: for those who ask, not for those who call. Changes nothing. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { heartbeatKeys, ledgerKey } from "./keys.ts";

export interface OpenCall {
  /** The job's `call`-th. */
  readonly call: number;
  /** Until it counts as lost even if its owner lives, milliseconds; negative when that has passed. */
  readonly leaseLeftMs: number;
  /** Its owner has been heard of lately. */
  readonly alive: boolean;
}

/** `undefined` when the job has no call in flight. */
export async function readOpenCall(
  redis: Redis,
  keySpace: KeySpace,
  id: string,
): Promise<OpenCall | undefined> {
  const [owners] = heartbeatKeys(keySpace);
  const [[seconds, micros], [calls, owner, lease]] = await Promise.all([
    redis.time(),
    redis.hmget(ledgerKey(keySpace, id), "calls", "owner", "lease"),
  ]);
  if (owner === null || owner === undefined) return undefined;
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  const aliveUntil = Number(await redis.zscore(owners, owner)) || 0;
  return { call: Number(calls) || 0, leaseLeftMs: (Number(lease) || 0) - now, alive: aliveUntil > now };
}
