/**
 * A job this process has in hand: fetched from its lane, locked, and owed exactly one of `complete`, `defer` or
 * `fail`. Wraps BullMQ's manual API, so that nothing outside this package knows it.
 */
import { notesOf, writeNotes, type Failure, type Notes } from "@sluice/job";
import type { Redis } from "ioredis";
import type { Job, Worker } from "bullmq";
import { completeWith } from "./complete.ts";
import { FAILURE_FIELD, NOTES_FIELD, type LaneKeys } from "./keys.ts";
import { withoutPayload } from "./payload.ts";
import { RETURNED } from "./priorities.ts";

/** Completed jobs that stay visible in Bull Board. Their outcome lives on in the results, so few are enough. */
export interface KeepCompleted {
  /** Seconds. */
  readonly age: number;
  readonly count: number;
}

/** One hour, and 200 of each lane. */
export const DEFAULT_KEEP: KeepCompleted = { age: 3_600, count: 200 };

export interface Deferral {
  /** Milliseconds from now until the job is due again. */
  readonly delayMs: number;
  /** Whether this try counts against the job's attempts. */
  readonly attempt: boolean;
  /** What went wrong, for operators. Free of prompt text. */
  readonly reason?: string;
  /** Replaces what the next try finds. */
  readonly notes?: Notes;
}

export interface HeldJobParts {
  readonly job: Job<unknown>;
  readonly token: string;
  readonly worker: Worker<unknown>;
  readonly redis: Redis;
  readonly keys: LaneKeys;
  readonly keepCompleted: KeepCompleted;
}

export class HeldJob {
  readonly id: string;
  readonly token: string;
  /** As stored; parse it before use. */
  readonly data: unknown;
  /** Tries that counted against the job, before this one. */
  readonly attemptsMade: number;
  /** Times the job was fetched, this one included. Makes reservation ids unique. */
  readonly attemptsStarted: number;
  /** Times its worker vanished under it. */
  readonly stalls: number;
  /** Set when something outside decided that the job must fail instead of run. */
  readonly deferredFailure: string | undefined;
  readonly #parts: HeldJobParts;
  #calling = false;

  constructor(parts: HeldJobParts) {
    const { job } = parts;
    this.#parts = parts;
    this.id = job.id ?? "";
    this.token = parts.token;
    this.data = job.data;
    this.attemptsMade = job.attemptsMade;
    this.attemptsStarted = job.attemptsStarted;
    this.stalls = job.stalledCounter;
    this.deferredFailure = job.deferredFailure === "" ? undefined : job.deferredFailure;
  }

  /** True from the start of the call, when losing the lock costs more than another fetch. */
  get calling(): boolean {
    return this.#calling;
  }

  /** Says that the call starts now: from here on the lock is kept for the longer time. */
  callStarts(): void {
    this.#calling = true;
  }

  /**
   * What the job's earlier tries left for this one.
   * @throws NewerVersionError when a newer version of Sluice left it.
   */
  async notes(): Promise<Notes> {
    const { redis, keys } = this.#parts;
    const stored = await redis.hget(keys.jobPrefix + this.id, NOTES_FIELD);
    return notesOf(stored);
  }

  /** Replaces what the next try finds, also if this process vanishes before it hands the job back. */
  async keepNotes(notes: Notes): Promise<void> {
    const { redis, keys } = this.#parts;
    await redis.hset(keys.jobPrefix + this.id, NOTES_FIELD, writeNotes(notes));
  }

  /**
   * Ends the job well, and lets go of its request in the same step. `reference` is stored with the job and copied into
   * the event stream, so it must be small and free of text.
   * @throws when Redis no longer holds our lock; another run owns the job then.
   */
  async complete(reference: Readonly<Record<string, string | number>>): Promise<void> {
    const { job, token, worker, redis, keys, keepCompleted } = this.#parts;
    const { age, count } = keepCompleted;
    const data = JSON.stringify(withoutPayload(this.data));
    await completeWith(worker, job, { token, keep: { age, count }, reference, fields: { data } });
    await redis.zrem(keys.deadlines, this.id);
  }

  /**
   * Puts the job into the delayed set, to come back ahead of its lane's backlog.
   * @throws when Redis no longer holds our lock.
   */
  async defer({ delayMs, attempt, reason, notes }: Deferral): Promise<void> {
    const { worker, token } = this.#parts;
    await worker.getBackend().moveToDelayed(this.id, Date.now(), Math.max(0, Math.round(delayMs)), token, {
      skipAttempt: !attempt,
      fieldsToUpdate: {
        priority: RETURNED,
        ...(reason === undefined ? {} : { failedReason: reason }),
        ...(notes === undefined ? {} : { [NOTES_FIELD]: writeNotes(notes) }),
      },
    });
  }

  /**
   * Ends the job in the failed set, from where the mover takes it to the dead letter store. The job's own keep
   * options are overruled: a dead job must never vanish before it was moved.
   * @throws when Redis no longer holds our lock.
   */
  async fail(failure: Failure): Promise<void> {
    const { job, worker, token, redis, keys } = this.#parts;
    const reason = `${failure.errorClass}: ${failure.message}`;
    await worker.getBackend().moveToFailed(job, reason, false, token, false, {
      failedReason: reason,
      stacktrace: JSON.stringify([reason]),
      [FAILURE_FIELD]: JSON.stringify(failure),
    });
    await redis.zrem(keys.deadlines, this.id);
  }
}
