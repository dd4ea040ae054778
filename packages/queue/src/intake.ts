/**
 * One lane's way into one process. Free slot first, then fetch, then the gate: a job is claimed only when it could
 * run, and only one job per lane and process waits at the gate. BullMQ's own Worker loop claims the next job while
 * it finishes the last, which leaves no place to say no; hence its manual API.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { queueName } from "@sluice/job";
import type { KeySpace } from "@sluice/redis";
import { Worker } from "bullmq";
import type { Redis } from "ioredis";
import { HeldJob, type KeepCompleted } from "./held-job.ts";
import { laneKeys, type LaneKeys } from "./keys.ts";
import type { LockKeeper } from "./lock-keeper.ts";
import type { ReleaseSlot, Slots } from "./slots.ts";
import { Turns } from "./turns.ts";

/**
 * Decides about a job in hand. Resolves to the run, which the intake starts without waiting for it, or to
 * `undefined` when the job has been disposed of already. Must heed the signal: the process wants to stop.
 */
export type Take = (job: HeldJob, signal: AbortSignal) => Promise<(() => Promise<void>) | undefined>;

export interface IntakeOptions {
  /** A connection of the `worker` profile. BullMQ adds a blocking one per lane. */
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  readonly pool: string;
  readonly lane: string;
  readonly slots: Pick<Slots, "acquire">;
  readonly locks: LockKeeper;
  readonly take: Take;
  readonly onError: (error: unknown) => void;
  /** How often jobs without a lock are looked for, milliseconds. */
  readonly stalledIntervalMs: number;
  /** Default: one hour, 200 jobs: they hold their prompts in Redis. */
  readonly keepCompleted?: KeepCompleted;
}

/**
 * BullMQ must never fail a stalled job by itself: it would do so without our hook and our failure. The drain
 * decides, by the job's own counter.
 */
const NEVER_BY_BULLMQ = 1_000_000;

/** Pause after an error of the fetch, so that a full Redis yields one error a second and not thousands. */
const ERROR_PAUSE_MS = 1_000;

const DEFAULT_KEEP: KeepCompleted = { age: 3_600, count: 200 };

export class Intake {
  readonly #options: IntakeOptions;
  readonly #worker: Worker<unknown>;
  readonly #keys: LaneKeys;
  readonly #turns: Turns;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#keys = laneKeys(options.keySpace, options.pool, options.lane);
    this.#turns = new Turns(options.redis, this.#keys);
    this.#worker = new Worker(queueName(options.pool, options.lane), null, {
      connection: options.redis,
      prefix: options.keySpace,
      autorun: false,
      lockDuration: options.locks.times.inHandMs,
      stalledInterval: options.stalledIntervalMs,
      maxStalledCount: NEVER_BY_BULLMQ,
      metrics: { maxDataPoints: 24 * 60 },
    });
    this.#worker.on("error", options.onError);
  }

  /** Calls in flight through this intake. */
  get running(): number {
    return this.#running.size;
  }

  async start(): Promise<void> {
    await this.#worker.startStalledCheckTimer();
    this.#loop = this.#fetchLoop();
  }

  /**
   * Fetches nothing more and hands back what waits at the gate. Resolves when the loop has ended; calls in flight
   * go on, see `settled`.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#worker.getBackend().disconnectBlocking();
    await this.#loop;
  }

  /** Resolves when no call of this intake is in flight. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** Closes the connections. Call after `stop`; jobs still in flight are left to the stall check. */
  async close(): Promise<void> {
    await this.#worker.close(true);
  }

  async #fetchLoop(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const release = await this.#options.slots.acquire(this.#options.lane, signal);
      if (release === undefined) return;
      let handedOver = false;
      try {
        handedOver = await this.#fetchOne(release, signal);
      } catch (error) {
        this.#options.onError(error);
        await sleep(ERROR_PAUSE_MS, undefined, { signal }).catch(() => undefined);
      } finally {
        if (!handedOver) release();
      }
    }
  }

  /** True when a run took over the slot. */
  async #fetchOne(release: ReleaseSlot, signal: AbortSignal): Promise<boolean> {
    const { locks, take, redis } = this.#options;
    // A token per fetch: with one per process, a second run of the same job would pass for the first.
    const token = randomUUID();
    // Sent before the fetch, so carried out before it: nobody waits for the answer.
    this.#turns.next().catch(this.#options.onError);
    const job = await this.#worker.getNextJob(token);
    this.#turns.fetched(job?.priority);
    if (job === undefined) return false;
    const held = new HeldJob({
      job,
      token,
      worker: this.#worker,
      redis,
      keys: this.#keys,
      keepCompleted: this.#options.keepCompleted ?? DEFAULT_KEEP,
    });
    locks.keep(held, this.#worker);
    let run: (() => Promise<void>) | undefined;
    try {
      run = await take(held, signal);
    } finally {
      if (run === undefined) locks.release(held);
    }
    if (run === undefined) return false;
    held.callStarts();
    locks.nudge();
    const running = run()
      .catch(this.#options.onError)
      .finally(() => {
        locks.release(held);
        release();
        this.#running.delete(running);
      });
    this.#running.add(running);
    return true;
  }
}
