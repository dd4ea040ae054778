/** The failed set of a lane, as the mover empties it. */
import type { Cancels, Outbox, Outcomes } from "@sluice/drain";
import { queueName } from "@sluice/job";
import { FailedSet, type LaneName } from "@sluice/queue";
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";

export interface OutboxOptions extends LaneName {
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  readonly outcomes: Outcomes;
  readonly cancels: Cancels;
  /** What calls of its jobs hold whose worker vanished. */
  readonly left: Outbox["left"];
  /** The lane that its letters are of: the polls are none. */
  readonly lettersOf: string;
}

export function outboxOf(options: OutboxOptions): Outbox {
  const { redis, keySpace, pool, lane, outcomes, cancels, left, lettersOf } = options;
  const failed = new FailedSet(redis, keySpace, pool, lane);
  return {
    pool,
    lane: lettersOf,
    queue: queueName(pool, lane),
    outcomes,
    cancels,
    left,
    size: async () => failed.size(),
    oldest: async (limit, skip) => failed.oldest(limit, skip),
    drop: async (job) => failed.drop(job),
  };
}
