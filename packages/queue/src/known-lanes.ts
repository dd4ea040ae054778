/**
 * Which lanes a scope has, whoever's pools file names them: those that a worker serves or a producer has added jobs to. A
 * lane that was taken out of the file is still here while it holds jobs, so that their deadlines are kept and people see
 * them.
 */
import { queueName } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { laneKeys, lanesKey } from "./keys.ts";

/** A lane of a pool. */
export interface LaneName {
  readonly pool: string;
  readonly lane: string;
}

/** Lanes of a scope that are looked at: far more than any fleet has. */
const MOST_KNOWN = 1_000;

/** An empty lane that nobody has named for so long is forgotten, milliseconds. */
const FORGET_AFTER_MS = 24 * 60 * 60 * 1000;

const forget: Script<{ keySpace: KeySpace; name: LaneName; before: number }, boolean> = defineScript(
  new URL("../lua/forget-lane.lua", import.meta.url),
  ({ keySpace, name: { pool, lane }, before }) => {
    const { deadlines, failed, active, wait, prioritized, delayed } = laneKeys(keySpace, pool, lane);
    return {
      keys: [lanesKey(keySpace), deadlines, failed, active, wait, prioritized, delayed],
      argv: [queueName(pool, lane), before],
    };
  },
  (reply) => reply === 1,
  { whenFull: true },
);

/** Somebody serves these lanes, or adds to them. @param now milliseconds since the epoch. */
export async function noteLanes(
  redis: Redis,
  keySpace: KeySpace,
  names: readonly LaneName[],
  now: number,
): Promise<void> {
  const key = lanesKey(keySpace);
  await Promise.all(names.map(async ({ pool, lane }) => redis.zadd(key, "GT", now, queueName(pool, lane))));
}

/** The lanes of a scope, the queues of polls among them; those that were named last first. */
export async function knownLanes(redis: Redis, keySpace: KeySpace): Promise<LaneName[]> {
  const names = await redis.zrange(lanesKey(keySpace), 0, String(MOST_KNOWN - 1), "REV");
  return names.flatMap(laneOf);
}

export async function isKnownLane(
  redis: Redis,
  keySpace: KeySpace,
  { pool, lane }: LaneName,
): Promise<boolean> {
  return (await redis.zscore(lanesKey(keySpace), queueName(pool, lane))) !== null;
}

/** Jobs of the lane that have been added and have not ended. */
export async function unended(redis: Redis, keySpace: KeySpace, { pool, lane }: LaneName): Promise<number> {
  return redis.zcard(laneKeys(keySpace, pool, lane).deadlines);
}

/** Forgets a lane that is empty and that nobody has named for a day. Resolves to whether it did. */
export async function forgetLane(
  redis: Redis,
  keySpace: KeySpace,
  name: LaneName,
  now: number,
): Promise<boolean> {
  return forget.run(redis, { keySpace, name, before: now - FORGET_AFTER_MS });
}

/** A pool's name has no dot. */
function laneOf(queue: string): LaneName[] {
  const dot = queue.indexOf(".");
  return dot < 1 ? [] : [{ pool: queue.slice(0, dot), lane: queue.slice(dot + 1) }];
}
