/** What follows a fetch that failed: it may have met what can be put out of its way. */
import type { Clock } from "@sluice/job";
import type { Redis } from "ioredis";
import { isFull, letThrough } from "./full.ts";
import type { LaneKeys } from "./keys.ts";
import { requeueLost } from "./lost.ts";
import { endUnreadable, mayBeUnreadable } from "./unreadable.ts";
import { isWrongType } from "./wrong-type.ts";

export interface Fetched {
  /** The connection that fetches. */
  readonly redis: Redis;
  readonly keys: LaneKeys;
  /** How often jobs without a lock are looked for, milliseconds. */
  readonly stalledIntervalMs: number;
  readonly clock: Clock;
  /** A job could not be read, and is in the failed set now. */
  readonly onUnreadable?: (id: string) => void;
}

/**
 * `again`: what was in the way is not any more. `none`: there is no job, which a full Redis does not say. `give-up`: it
 * failed, and would fail again.
 */
export async function afterRefusal(
  error: unknown,
  token: string,
  { redis, keys, stalledIntervalMs, clock, onUnreadable }: Fetched,
): Promise<"again" | "none" | "give-up"> {
  if (isFull(error)) {
    const answer = await letThrough(redis, keys, stalledIntervalMs);
    return ({ go: "again", none: "none", full: "give-up" } as const)[answer];
  }
  if (!mayBeUnreadable(error)) return "give-up";
  const id = await endUnreadable(redis, keys, token, clock());
  if (id !== undefined) {
    onUnreadable?.(id);
    return "again";
  }
  // The fetch got none: it broke off before, at a job that was due, and may have left others in no set.
  return isWrongType(error) && (await requeueLost(redis, keys)) > 0 ? "again" : "give-up";
}
