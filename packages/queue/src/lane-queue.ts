/** A lane as its producers and its readers see it: add a job, look one up, count. */
import { localTime, parseJson, queueName, type Clock, type JobData } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import { Queue, type JobsOptions } from "bullmq";
import type { Redis } from "ioredis";
import { readJobWait, type JobWait } from "./job-wait.ts";
import { noteLanes } from "./known-lanes.ts";
import { EVENTS_KEPT, laneKeys, type LaneKeys } from "./keys.ts";
import { FRESH, PRIORITY_SCORE, RETURNED, SCHEDULED } from "./priorities.ts";
import { othersAhead } from "./turns.ts";
import { unlessWrongType } from "./wrong-type.ts";

/** Jobs looked at to judge the bytes of a lane. */
const SAMPLE = 30;

/** How often a lane that jobs are added to is noted as one that there is, milliseconds. */
const NOTE_EVERY_MS = 60_000;

/** Where a job is, as far as its lane knows. */
export type LaneState = "waiting" | "delayed" | "active" | "completed" | "failed" | "unknown";

/** A job as its lane knows it. */
export interface LaneJob {
  readonly state: LaneState;
  /** As stored; parse it before use. `undefined` when it is no JSON. */
  readonly data: unknown;
  readonly attemptsMade: number;
  /** Times it was fetched. */
  readonly fetched: number;
  /** Times its worker vanished under it. */
  readonly stalls: number;
}

export interface LaneCounts {
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  readonly failed: number;
}

export interface LaneQueueOptions {
  /** A connection of the `producer` profile for producers, of any profile for readers. */
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  readonly pool: string;
  readonly lane: string;
  /** The shared time: from when delays count. */
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

const withdraw: Script<{ keys: LaneKeys; id: string }, boolean> = defineScript(
  new URL("../lua/withdraw.lua", import.meta.url),
  ({ keys, id }) => {
    const hash = keys.jobPrefix + id;
    return {
      keys: [keys.wait, keys.prioritized, keys.delayed, keys.events, keys.deadlines, hash, `${hash}:logs`],
      argv: [id],
    };
  },
  (reply) => reply === 1,
  { whenFull: true },
);

export class LaneQueue {
  readonly #options: LaneQueueOptions;
  readonly #queue: Queue<JobData>;
  readonly #keys: LaneKeys;
  /** By the monotonic clock. */
  #notedAt = -Infinity;

  constructor(options: LaneQueueOptions) {
    this.#options = options;
    this.#keys = laneKeys(options.keySpace, options.pool, options.lane);
    this.#queue = new Queue(queueName(options.pool, options.lane), {
      connection: options.redis,
      prefix: options.keySpace,
      streams: EVENTS_KEPT,
      // Without both, a producer that starts while Redis is down hangs, or stays broken for good.
      skipWaitingForReady: true,
      skipVersionCheck: true,
    });
    this.#queue.on("error", options.onError);
  }

  /**
   * Adds the job under its own id: once, however often it is called for the same id. It starts `delayMs` from now at
   * the earliest, and the sweeper ends it `graceMs` after its deadline.
   * Rejects when Redis does not answer in time; the job may have been added all the same, so repeat with the same id.
   */
  async add(job: JobData, delayMs = 0, graceMs = 0): Promise<void> {
    const options: JobsOptions = {
      jobId: job.id,
      priority: delayMs > 0 ? SCHEDULED : FRESH,
      attempts: job.maxAttempts,
      removeOnFail: false,
      timestamp: this.#options.clock(),
      ...(delayMs > 0 ? { delay: delayMs } : {}),
    };
    // First the deadline, then the job: a crash between the two leaves an entry that the sweeper drops, never a job
    // that nothing watches. NX, since adding a job again must not move its deadline.
    await Promise.all([
      this.#options.redis.zadd(this.#keys.deadlines, "NX", job.deadlineAt + graceMs, job.id),
      this.#note(),
    ]);
    await this.#queue.add(job.kind, job, options);
  }

  /** The key of the set of its failed jobs. */
  get failedSet(): string {
    return this.#keys.failed;
  }

  /** The lane has jobs, so it must not get out of sight, whoever's pools file names it. */
  async #note(): Promise<void> {
    const { redis, keySpace, pool, lane, clock } = this.#options;
    const now = localTime.monotonic();
    if (now - this.#notedAt < NOTE_EVERY_MS) return;
    await noteLanes(redis, keySpace, [{ pool, lane }], clock());
    this.#notedAt = now;
  }

  /** Whether the lane knows the job, in whatever state. */
  async has(id: string): Promise<boolean> {
    return (await this.#options.redis.exists(this.#keys.jobPrefix + id)) === 1;
  }

  /**
   * About how many bytes the data of waiting and delayed jobs takes: the mean of a random sample, times their number.
   * Exact sums would have to be kept in step with every way a job can leave.
   */
  async waitingBytes(): Promise<number> {
    const { prioritized, delayed } = this.#keys;
    const sums = await Promise.all([prioritized, delayed].map(async (set) => this.#bytesIn(set)));
    return sums.reduce((sum, bytes) => sum + bytes, 0);
  }

  async #bytesIn(set: string): Promise<number> {
    const { redis } = this.#options;
    const sample = await redis.zrandmember(set, SAMPLE);
    if (sample.length === 0) return 0;
    const lengths = await Promise.all(
      sample.map(async (id) => unlessWrongType(redis.hstrlen(this.#keys.jobPrefix + id, "data"), 0)),
    );
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    return Math.round(mean * (await redis.zcard(set)));
  }

  /**
   * Looks the job up; `undefined` when the lane does not know it (any more). Not by BullMQ, which throws at whatever it
   * cannot read.
   */
  async find(id: string): Promise<LaneJob | undefined> {
    const hash = this.#keys.jobPrefix + id;
    const read = this.#options.redis.hmget(hash, "name", "data", "atm", "ats", "stc");
    const [fields, state] = await Promise.all([
      unlessWrongType(read, undefined),
      this.#queue.getBackend().getState(id),
    ]);
    if (fields?.every((field) => field === null) === true) return undefined;
    const [, data, attempts, fetched, stalls] = fields ?? [];
    return {
      state: toLaneState(state),
      data: parseJson(data ?? ""),
      attemptsMade: Number(attempts) || 0,
      fetched: Number(fetched) || 0,
      stalls: Number(stalls) || 0,
    };
  }

  /**
   * Takes the job out of its lane, if it has not started. Resolves to whether it was taken; its end must be on record
   * before.
   */
  async withdraw(id: string): Promise<boolean> {
    return withdraw.run(this.#options.redis, { keys: this.#keys, id });
  }

  /**
   * About how many jobs are fetched before this one; `undefined` when it is not waiting its turn. Exact for one process
   * that fetches, but for where in its row of turns it is.
   */
  async ahead(id: string): Promise<number | undefined> {
    const { redis } = this.#options;
    const { prioritized, wait } = this.#keys;
    const score = await redis.zscore(prioritized, id);
    if (score === null) return undefined;
    const priority = Math.floor(Number(score) / PRIORITY_SCORE);
    const [before, waiting, ...counts] = await Promise.all([
      redis.zcount(prioritized, priority * PRIORITY_SCORE, `(${score}`),
      redis.llen(wait),
      ...[RETURNED, FRESH, SCHEDULED].map(async (each) =>
        redis.zcount(prioritized, each * PRIORITY_SCORE, `(${(each + 1) * PRIORITY_SCORE}`),
      ),
    ]);
    const [returned = 0, fresh = 0, scheduled = 0] = counts;
    return waiting + before + othersAhead(priority, before, { returned, fresh, scheduled });
  }

  /** What a job waits for beyond its turn. */
  async wait(id: string): Promise<JobWait> {
    return readJobWait(this.#options.redis, this.#keys, id);
  }

  /** Jobs that have been added and have not ended, also those in somebody's hands. */
  async unended(): Promise<number> {
    return this.#options.redis.zcard(this.#keys.deadlines);
  }

  async counts(): Promise<LaneCounts> {
    const counts = await this.#queue.getJobCounts("wait", "prioritized", "delayed", "active", "failed");
    return {
      waiting: (counts["wait"] ?? 0) + (counts["prioritized"] ?? 0),
      delayed: counts["delayed"] ?? 0,
      active: counts["active"] ?? 0,
      failed: counts["failed"] ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}

function toLaneState(state: string): LaneState {
  switch (state) {
    case "waiting":
    case "prioritized":
      return "waiting";
    case "delayed":
    case "active":
    case "completed":
    case "failed":
      return state;
    default:
      return "unknown";
  }
}
