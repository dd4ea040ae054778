/**
 * Whether Redis has room for one more job. A full Redis deadlocks the workers too, so producers are refused well
 * before that, with a time after which asking again makes sense.
 */
import type { Redis } from "ioredis";
import { z } from "zod";
import type { LaneQueue } from "./lane-queue.ts";

export type Capacity =
  | { readonly type: "free" }
  | {
      readonly type: "full";
      readonly reason: "lane-length" | "lane-bytes" | "redis-memory";
      readonly retryAfterMs: number;
    };

/** What one lane may hold. */
export interface LaneBounds {
  /** Jobs that wait, for their turn or their time. */
  readonly jobs: number;
  /** Bytes of the data of jobs that wait their turn, by estimate. */
  readonly bytes: number;
}

/** Share of `maxmemory` above which nothing new is accepted. */
const MEMORY_SHARE = 0.75;

/** How long one reading of Redis's memory, or of a lane's bytes, serves. */
const READING_AGE_MS = 1_000;

const MEMORY_RETRY_MS = 5_000;
const LANE_RETRY_MS = 10_000;

const memorySchema = z.object({ used_memory: z.coerce.number(), maxmemory: z.coerce.number() });

export class CapacityGuard {
  readonly #redis: Redis;
  #memory: { readonly readAt: number; readonly share: number } | undefined;

  readonly #bytes = new WeakMap<LaneQueue, { readonly readAt: number; readonly bytes: number }>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Reads the lane's length; its bytes, and Redis's memory, at most once a second. */
  async check(lane: LaneQueue, bounds: LaneBounds): Promise<Capacity> {
    if ((await this.#memoryShare()) > MEMORY_SHARE) {
      return { type: "full", reason: "redis-memory", retryAfterMs: MEMORY_RETRY_MS };
    }
    const { waiting, delayed } = await lane.counts();
    if (waiting + delayed >= bounds.jobs) {
      return { type: "full", reason: "lane-length", retryAfterMs: LANE_RETRY_MS };
    }
    if ((await this.#bytesOf(lane)) >= bounds.bytes) {
      return { type: "full", reason: "lane-bytes", retryAfterMs: LANE_RETRY_MS };
    }
    return { type: "free" };
  }

  async #bytesOf(lane: LaneQueue): Promise<number> {
    const now = Date.now();
    const known = this.#bytes.get(lane);
    if (known !== undefined && now - known.readAt <= READING_AGE_MS) return known.bytes;
    const bytes = await lane.waitingBytes();
    this.#bytes.set(lane, { readAt: now, bytes });
    return bytes;
  }

  async #memoryShare(): Promise<number> {
    const now = Date.now();
    if (this.#memory === undefined || now - this.#memory.readAt > READING_AGE_MS) {
      this.#memory = { readAt: now, share: parseMemory(await this.#redis.info("memory")) };
    }
    return this.#memory.share;
  }
}

/** Used share of `maxmemory`; 0 when Redis has no limit. */
function parseMemory(info: string): number {
  const fields = Object.fromEntries(info.split(/\r?\n/).map((line) => line.split(":", 2)));
  const { used_memory: used, maxmemory: max } = memorySchema.parse(fields);
  return max === 0 ? 0 : used / max;
}
