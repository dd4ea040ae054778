/**
 * One lane's way into one process. Free slot first, then fetch, then the gate: a job is claimed only when it could
 * run. While one job asks at the gate the next are fetched and looked up, so that a slow Redis costs its round trips
 * side by side; a job that is granted leaves the gate at once and waits for its start beside it. BullMQ's own Worker
 * loop claims the next job while it finishes the last, which leaves no place to say no; hence its manual API.
 */
import { randomUUID } from "node:crypto";
import { queueName, type Time } from "@sluice/job";
import type { KeySpace } from "@sluice/redis";
import { Worker, type WorkerOptions } from "bullmq";
import type { Redis } from "ioredis";
import { clockedBackend } from "./clocked-backend.ts";
import { DEFAULT_KEEP, HeldJob, type KeepCompleted } from "./held-job.ts";
import { laneKeys, type LaneKeys } from "./keys.ts";
import { LaneLocks } from "./lane-locks.ts";
import type { LockKeeper } from "./lock-keeper.ts";
import { afterRefusal } from "./refused-fetch.ts";
import type { ReleaseSlot, Slots } from "./slots.ts";
import { Turns } from "./turns.ts";
import { setDueAside } from "./unreadable.ts";
import type { LaneGrants, WaitingGrants } from "./waiting-grants.ts";

/** Starts a call. It settles when the call is over. */
export type Run = () => Promise<void>;

/** A job whose start has been set. */
export interface Turn {
  /** Milliseconds until then. Meanwhile the job holds no slot. */
  readonly waitMs: number;
  /** It did not have to wait for quota at all. */
  readonly atOnce: boolean;
  /** Fires when the job shall not start after all: call `start` at once, which disposes of it. */
  readonly off: AbortSignal;
  /** The last look before the call. Resolves to the call, or to `undefined` when the job has been disposed of. */
  start(): Promise<Run | undefined>;
}

/**
 * Decides about a job in hand. Resolves to its turn, or to the run of one that starts now, which the intake sees through
 * without waiting for it; to `undefined` when the job has been disposed of already. Must heed the signal: the process
 * wants to stop.
 */
export type Take = (job: HeldJob, signal: AbortSignal) => Promise<Turn | Run | undefined>;

export interface IntakeOptions extends Pick<Time, "clock" | "sleep"> {
  /** A connection of the `worker` profile. BullMQ adds a blocking one per lane. */
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  readonly pool: string;
  readonly lane: string;
  readonly slots: Pick<Slots, "acquire" | "acquireCall">;
  readonly locks: LockKeeper;
  readonly take: Take;
  /** Those of the whole process. */
  readonly waiting: WaitingGrants;
  readonly onError: (error: unknown) => void;
  /** A job could not be read, and is in the failed set now. Default: nobody hears of it. */
  readonly onUnreadable?: (id: string) => void;
  /** How often jobs without a lock are looked for, milliseconds. */
  readonly stalledIntervalMs: number;
  /** Default `DEFAULT_KEEP`. */
  readonly keepCompleted?: KeepCompleted;
}

/**
 * BullMQ must never fail a stalled job by itself: it would do so without our hook and our failure. The drain
 * decides, by the job's own counter.
 */
const NEVER_BY_BULLMQ = 1_000_000;

/** Before a fetch: jobs that fall due while it is on its way are looked at too, milliseconds. */
const DUE_AHEAD_MS = 1_000;

/** Pause after an error, so that a full Redis yields one error a second and not thousands. */
const ERROR_PAUSE_MS = 1_000;

/**
 * Jobs that are fetched and looked up beside one that asks at the gate. Fetching, looking up and asking take a round trip
 * to Redis each; with two more in hand the gate is asked all the time. More would only be hidden from other workers, but
 * when quota is there for all who ask: then it is the round trips that hold up, and more of them are made side by side.
 */
const READ_AHEAD = { waiting: 2, atOnce: 8 } as const;

/** Fetches that are on their way at a time, while jobs are found that may start at once. */
const FETCHES = 3;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #worker: Worker<unknown>;
  readonly #keys: LaneKeys;
  readonly #turns: Turns;
  readonly #grants: LaneGrants;
  readonly #laneLocks: LaneLocks;
  readonly #stopping = new AbortController();
  readonly #fetching = new Set<Promise<void>>();
  /** Jobs that are being looked up, or ask at the gate. */
  readonly #taking = new Set<Promise<void>>();
  /** Granted jobs that have not started. */
  readonly #waiting = new Set<Promise<void>>();
  readonly #calling = new Set<Promise<void>>();
  #loop: Promise<void> = Promise.resolve();
  /** Resolves when there may be room to fetch. */
  #room = Promise.withResolvers<void>();
  /** Whether the last fetch found a job. */
  #found = false;
  /** Whether the last job that was granted could start at once. */
  #atOnce = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#keys = laneKeys(options.keySpace, options.pool, options.lane);
    this.#turns = new Turns(options.redis, this.#keys);
    this.#grants = options.waiting.lane(() => this.#room.resolve());
    this.#laneLocks = new LaneLocks(options.redis, this.#keys);
    const settings: WorkerOptions = {
      connection: options.redis,
      prefix: options.keySpace,
      autorun: false,
      lockDuration: options.locks.times.inHandMs,
      stalledInterval: options.stalledIntervalMs,
      maxStalledCount: NEVER_BY_BULLMQ,
      metrics: { maxDataPoints: 24 * 60 },
    };
    const backend = clockedBackend(options.clock);
    this.#worker = new Worker(queueName(options.pool, options.lane), null, settings, backend);
    this.#worker.on("error", options.onError);
  }

  /** Calls in flight through this intake. */
  get running(): number {
    return this.#calling.size;
  }

  /** Jobs that have been fetched through it and are not done with: those of the calls too. */
  get inHand(): number {
    return this.#taking.size + this.#waiting.size + this.#calling.size;
  }

  async start(): Promise<void> {
    await this.#worker.startStalledCheckTimer();
    this.#loop = this.#fetchLoop();
  }

  /**
   * Fetches nothing more and hands back what has not started. Resolves when that is done; calls in flight go on, see
   * `settled`.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#room.resolve();
    await this.#worker.getBackend().disconnectBlocking();
    await this.#loop;
    while (this.#fetching.size + this.#taking.size + this.#waiting.size > 0) {
      await Promise.all([...this.#fetching, ...this.#taking, ...this.#waiting]);
    }
  }

  /** Resolves when no call of this intake is in flight. */
  async settled(): Promise<void> {
    while (this.#calling.size > 0) await Promise.all(this.#calling);
  }

  /** Closes the connections. Call after `stop`; jobs still in flight are left to the stall check. */
  async close(): Promise<void> {
    await this.#worker.close(true);
  }

  async #fetchLoop(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (!this.#mayFetch()) {
        await this.#room.promise;
        this.#room = Promise.withResolvers();
        continue;
      }
      const release = await this.#options.slots.acquire(this.#options.lane, signal);
      if (release === undefined) return;
      this.#track(this.#fetching, this.#fetchOne(release));
    }
  }

  #mayFetch(): boolean {
    const fetching = this.#fetching.size;
    // One that finds nothing sleeps until there is a job: the others would ask in vain meanwhile.
    if (fetching >= (this.#found && this.#atOnce ? FETCHES : 1)) return false;
    const ahead = this.#atOnce ? READ_AHEAD.atOnce : READ_AHEAD.waiting;
    return fetching + this.#taking.size <= ahead && this.#grants.hasRoom;
  }

  async #fetchOne(release: ReleaseSlot): Promise<void> {
    try {
      const job = await this.#fetch();
      this.#found = job !== undefined;
      if (job !== undefined) {
        this.#track(this.#taking, this.#take(job, release));
        return;
      }
    } catch (error) {
      this.#options.onError(error);
      this.#found = false;
      release();
      await this.#pause();
    }
    release();
  }

  async #fetch(): Promise<HeldJob | undefined> {
    for (;;) {
      // A token per fetch: with one per process, a second run of the same job would pass for the first.
      const token = randomUUID();
      try {
        return await this.#fetchBy(token);
      } catch (error) {
        if (this.#stopping.signal.aborted) throw error;
        const next = await afterRefusal(error, token, { ...this.#options, keys: this.#keys });
        if (next === "give-up") throw error;
        if (next === "none") {
          await this.#pause();
          return undefined;
        }
      }
    }
  }

  async #fetchBy(token: string): Promise<HeldJob | undefined> {
    // Sent before the fetch, so carried out before it: nobody waits for the answers.
    const { redis, onUnreadable, onError } = this.#options;
    setDueAside(redis, this.#keys, DUE_AHEAD_MS, onUnreadable).catch(onError);
    this.#turns.next().catch(onError);
    const job = await this.#worker.getNextJob(token);
    this.#turns.fetched(job?.priority);
    if (job === undefined) return undefined;
    const { locks, clock, keepCompleted = DEFAULT_KEEP } = this.#options;
    const parts = { job, token, worker: this.#worker, redis, keys: this.#keys };
    const held = new HeldJob({ ...parts, keepCompleted, clock });
    locks.keep(held, this.#laneLocks);
    if (!(await held.putBackEarly())) return held;
    locks.release(held);
    return undefined;
  }

  async #take(job: HeldJob, release: ReleaseSlot): Promise<void> {
    const { locks, take, onError } = this.#options;
    let failed = false;
    try {
      const taken = await take(job, this.#stopping.signal);
      if (taken !== undefined) {
        const turn = typeof taken === "function" ? startingNow(taken) : taken;
        this.#atOnce = turn.atOnce;
        this.#track(this.#waiting, this.#waitForStart(job, turn, release));
        return;
      }
    } catch (error) {
      onError(error);
      failed = true;
    }
    locks.release(job);
    release();
    if (failed) await this.#pause();
  }

  async #waitForStart(job: HeldJob, turn: Turn, release: ReleaseSlot): Promise<void> {
    const { lane, locks, slots, sleep, onError } = this.#options;
    const leave = this.#grants.add();
    if (turn.waitMs > 0) {
      release();
      await sleep(turn.waitMs, turn.off);
    }
    // Taken before the other one is given back: nobody can come between.
    const releaseCall = await slots.acquireCall(lane, turn.off);
    release();
    leave();
    try {
      const run = await turn.start();
      if (run !== undefined) {
        job.callStarts();
        locks.nudge();
        this.#track(this.#calling, this.#call(run, job, releaseCall));
        return;
      }
    } catch (error) {
      onError(error);
    }
    locks.release(job);
    releaseCall?.();
  }

  async #call(run: Run, job: HeldJob, release: ReleaseSlot | undefined): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#options.locks.release(job);
      release?.();
    }
  }

  /** @param step never rejects. */
  #track(steps: Set<Promise<void>>, step: Promise<void>): void {
    const tracked = step.finally(() => {
      steps.delete(tracked);
      this.#room.resolve();
    });
    steps.add(tracked);
  }

  async #pause(): Promise<void> {
    await this.#options.sleep(ERROR_PAUSE_MS, this.#stopping.signal);
  }
}

const NEVER: AbortSignal = new AbortController().signal;

function startingNow(run: Run): Turn {
  return { waitMs: 0, atOnce: true, off: NEVER, start: async () => run };
}
