/**
 * What every worker does for a lane every second or so, whatever the intake and the breaker do meanwhile. It ends waiting
 * jobs whose deadline has passed, promotes delayed jobs that are overdue, brings retries forward that wait beside an idle
 * pool, drops completed jobs in time, and cuts lives that a clock which was set back has made longer. Each is a script, so
 * that a second sweep of the same job does no harm.
 */
import { deadlineFailure, queueName, readNotes, Rounds, type Clock, type Failure } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { forward } from "./forward.ts";
import { shortenLives, type Lives } from "./lives.ts";
import { recoverStalled } from "./full.ts";
import { DEFAULT_KEEP } from "./held-job.ts";
import { EVENTS_KEPT, FAILURE_FIELD, laneKeys, NOTES_FIELD, type LaneKeys } from "./keys.ts";
import { setDueAside } from "./unreadable.ts";
import { isWrongType, unlessWrongType } from "./wrong-type.ts";

/** By what a sweeper judges times. */
export interface SweeperTimes {
  /** The shared time. */
  readonly clock: Clock;
  /** Whether times can be judged now: nothing is ended or promoted by clocks that are apart. Default: they can. */
  readonly isTimeKnown?: () => boolean;
  /** How long locks live at most, and how long nobody else looks for stalled jobs after one has. Milliseconds. */
  readonly lives: Lives;
}

export interface SweeperOptions extends SweeperTimes {
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  readonly pool: string;
  readonly lane: string;
  /** Milliseconds between sweeps. Default 1,000. */
  readonly everyMs?: number;
  /**
   * Whether the pool is healthy and has quota to spare, so that retries need not wait. Asked only while jobs of the lane
   * are delayed. Default: it never is.
   */
  readonly isIdle?: () => Promise<boolean>;
  /**
   * Whether jobs in the hands of vanished workers are given back: for a lane that nobody here serves, since where it is
   * served the intake does it. Every `lives.stalledIntervalMs`, as an intake does: they share one pace in Redis, so that a
   * slower one here would slow down the worker that does serve the lane. Default: no.
   */
  readonly recovers?: boolean;
  readonly onExpired: (id: string) => void;
  /** A delayed job could not be read, and is in the failed set now. Default: nobody hears of it. */
  readonly onUnreadable?: (id: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Jobs one sweep handles at most; the rest waits for the next, so that no sweep holds Redis for long. */
const BATCH = 200;

/** An intake promotes what is due whenever it fetches; the sweeper only helps where none does. */
const OVERDUE_MS = 1_000;

/** Longer than an intake sleeps at most before it fetches what falls due meanwhile, milliseconds. */
const DUE_AHEAD_MS = 15_000;

/** How often completed jobs are looked at, milliseconds. */
const SHED_EVERY_MS = 60_000;

/** Longest data of a completed job, in bytes: all but its request, with room. */
const LONGEST_COMPLETED = 8 * 1_024;

/** Jobs in hand that one look for vanished workers marks at most. */
const MOST_MARKED = 1_000;

/** BullMQ's delayed scores are milliseconds times this, plus a sequence. */
const DELAYED_SCORE_FACTOR = 4_096;

const expire: Script<{ keys: LaneKeys; id: string; now: number; failure: Failure }, boolean> = defineScript(
  new URL("../lua/expire.lua", import.meta.url),
  ({ keys, id, now, failure }) => ({
    keys: [
      keys.wait,
      keys.prioritized,
      keys.delayed,
      keys.failed,
      keys.events,
      keys.deadlines,
      keys.jobPrefix + id,
      keys.active,
    ],
    argv: [id, now, `${failure.errorClass}: ${failure.message}`, FAILURE_FIELD, JSON.stringify(failure)],
  }),
  (reply) => reply === 1,
  { whenFull: true },
);

const shed: Script<{ keys: LaneKeys; before: number }, number> = defineScript(
  new URL("../lua/shed.lua", import.meta.url),
  ({ keys, before }) => ({
    keys: [keys.completed],
    argv: [keys.jobPrefix, before, LONGEST_COMPLETED, 2 * DEFAULT_KEEP.count],
  }),
  Number,
  { whenFull: true },
);

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #keys: LaneKeys;
  readonly #queue: Queue;
  readonly #rounds: Rounds;
  #shedAt = 0;
  #recoveredAt = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#keys = laneKeys(options.keySpace, options.pool, options.lane);
    this.#queue = new Queue(queueName(options.pool, options.lane), {
      connection: options.redis,
      prefix: options.keySpace,
      streams: EVENTS_KEPT,
    });
    this.#queue.on("error", options.onError);
    const { everyMs = 1_000, onError } = options;
    this.#rounds = new Rounds({ work: async () => this.sweep(), everyMs, onError });
  }

  start(): void {
    this.#rounds.startLater();
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    await this.#queue.close();
  }

  /** One sweep, now. Resolves to the number of jobs it moved. */
  async sweep(now: number = this.#options.clock()): Promise<number> {
    const { redis, lives, isTimeKnown = () => true } = this.#options;
    await shortenLives.run(redis, { keys: this.#keys, ...lives });
    if (!isTimeKnown()) return 0;
    await this.#shed(now);
    await this.#recover(now);
    return (await this.#expireAll(now)) + (await this.#promoteOverdue(now)) + (await this.#bringForward(now));
  }

  /** Ends one job whose deadline has passed. */
  async #expire(id: string, now: number): Promise<boolean> {
    const { redis } = this.#options;
    const keys = this.#keys;
    const notes = await unlessWrongType(redis.hget(keys.jobPrefix + id, NOTES_FIELD), null);
    return expire.run(redis, { keys, id, now, failure: deadlineFailure(readNotes(notes).last) });
  }

  async #shed(now: number): Promise<void> {
    if (Math.abs(now - this.#shedAt) < SHED_EVERY_MS) return;
    await shed.run(this.#options.redis, { keys: this.#keys, before: now - DEFAULT_KEEP.age * 1_000 });
    this.#shedAt = now;
  }

  /** Whoever lives unmarks his jobs when he keeps their locks; what is still marked and has no lock is given back. */
  async #recover(now: number): Promise<void> {
    const { redis, recovers = false, lives } = this.#options;
    const everyMs = lives.stalledIntervalMs;
    if (!recovers || Math.abs(now - this.#recoveredAt) < everyMs) return;
    this.#recoveredAt = now;
    const active = await redis.lrange(this.#keys.active, 0, MOST_MARKED - 1);
    if (active.length === 0) return;
    await recoverStalled.run(redis, { keys: this.#keys, everyMs });
    await redis.sadd(this.#keys.stalled, ...active);
  }

  async #expireAll(now: number): Promise<number> {
    const { redis, onExpired, onError } = this.#options;
    const keys = this.#keys;
    const due = await redis.zrangebyscore(keys.deadlines, "-inf", now, "LIMIT", 0, BATCH);
    let expired = 0;
    for (const id of due) {
      // One that Redis refuses holds up none of the others.
      const ended = await this.#expire(id, now).catch((error: unknown) => {
        if (!isWrongType(error)) throw error;
        onError(error);
        return false;
      });
      if (!ended) continue;
      expired += 1;
      onExpired(id);
    }
    return expired;
  }

  async #promoteOverdue(now: number): Promise<number> {
    await setDueAside(this.#options.redis, this.#keys, DUE_AHEAD_MS, this.#options.onUnreadable);
    const latest = (now - OVERDUE_MS) * DELAYED_SCORE_FACTOR;
    const overdue = await this.#options.redis.zrangebyscore(
      this.#keys.delayed,
      "-inf",
      latest,
      "LIMIT",
      0,
      BATCH,
    );
    return this.#promote(overdue);
  }

  async #bringForward(now: number): Promise<number> {
    const { redis, isIdle } = this.#options;
    if (isIdle === undefined || (await redis.exists(this.#keys.delayed)) === 0) return 0;
    return (await isIdle()) ? this.#promote(await forward.run(redis, { keys: this.#keys, now })) : 0;
  }

  async #promote(ids: readonly string[]): Promise<number> {
    const backend = this.#queue.getBackend();
    const results = await Promise.allSettled(ids.map((id) => backend.promote(id)));
    // One that was promoted by somebody else meanwhile is rejected: that is what we wanted too.
    return results.filter((result) => result.status === "fulfilled").length;
  }
}
