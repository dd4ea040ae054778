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
  /** How long it has been leased, and for how long it was, milliseconds. Absent: a version before did not say. */
  readonly lease?: { readonly sinceMs: number; readonly forMs: number };
}

/** `undefined` when the job has no call in flight. */
export async function readOpenCall(
  redis: Redis,
  keySpace: KeySpace,
  id: string,
): Promise<OpenCall | undefined> {
  const [owners] = heartbeatKeys(keySpace);
  const [[seconds, micros], [calls, owner, until, run, begun]] = await Promise.all([
    redis.time(),
    redis.hmget(ledgerKey(keySpace, id), "calls", "owner", "lease", "run", "begun"),
  ]);
  if (owner === null || owner === undefined) return undefined;
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  const aliveUntil = Number(await redis.zscore(owners, owner)) || 0;
  const lease = leaseOf(begun ?? "", run ?? "", now);
  return {
    call: Number(calls) || 0,
    leaseLeftMs: (Number(until) || 0) - now,
    alive: aliveUntil > now,
    ...(lease === undefined ? {} : { lease }),
  };
}

/** What another run has left is of another call. */
function leaseOf(begun: string, run: string, now: number): OpenCall["lease"] {
  const [by, at, forMs] = begun.split(" ");
  if (at === undefined || by !== run) return undefined;
  return { sinceMs: Math.max(0, now - Number(at)), forMs: Number(forMs) };
}
