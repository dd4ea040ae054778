/**
 * A job this process has in hand: fetched from its lane, locked, and owed exactly one of `complete`, `defer` or
 * `fail`. Wraps BullMQ's manual API, so that nothing outside this package knows it.
 */
import {
  invocationOf,
  notesOf,
  writeInvocation,
  writeNotes,
  type Clock,
  type Failure,
  type Invocation,
  type Notes,
  type Payload,
} from "@sluice/job";
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { Job, Worker } from "bullmq";
import { completeWith, failWith } from "./finish.ts";
import { DUE_FIELD, FAILURE_FIELD, INVOCATION_FIELD, NOTES_FIELD, type LaneKeys } from "./keys.ts";
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
  /** The shared time. */
  readonly clock: Clock;
}

/** A job that is fetched so long before its time is no early one: clocks are known no better. Milliseconds. */
const EARLY_MS = 250;

const keepField: Script<{ hash: string; field: string; value: string }, boolean> = defineScript(
  new URL("../lua/keep-field.lua", import.meta.url),
  ({ hash, field, value }) => ({ keys: [hash], argv: [field, value] }),
  (reply) => reply === 1,
  // What it keeps has been paid for, and is small.
  { whenFull: true },
);

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
   * The `async` call that an earlier try has started and nobody polls yet; `undefined` when there is none.
   * @throws NewerVersionError when a newer version of Sluice has named it.
   */
  async invocation(): Promise<Invocation | undefined> {
    const { redis, keys } = this.#parts;
    const stored = await redis.hget(keys.jobPrefix + this.id, INVOCATION_FIELD);
    return invocationOf(stored);
  }

  /**
   * Names the started `async` call for whoever has the job next, also on a full Redis, which takes no poll job: it would
   * be started, and paid, a second time. Safe to repeat.
   */
  async keepInvocation(invocation: Invocation): Promise<void> {
    const { redis, keys } = this.#parts;
    const hash = keys.jobPrefix + this.id;
    await keepField.run(redis, { hash, field: INVOCATION_FIELD, value: writeInvocation(invocation) });
  }

  /**
   * Ends the job well, and lets go of its request in the same step. `reference` is stored with the job and copied into
   * the event stream, so it must be small and free of text.
   * @throws when Redis no longer holds our lock; another run owns the job then.
   */
  async complete(reference: Readonly<Record<string, string | number>>): Promise<void> {
    const { job, token, worker, redis, keys, keepCompleted, clock } = this.#parts;
    const { age, count } = keepCompleted;
    const data = JSON.stringify(withoutPayload(this.data));
    const keep = { age, count };
    await completeWith(worker, job, { token, at: clock(), keep, reference, fields: { data } });
    await redis.zrem(keys.deadlines, this.id);
  }

  /**
   * Puts the job into the delayed set, to come back ahead of its lane's backlog.
   * @throws when Redis no longer holds our lock.
   */
  async defer({ delayMs, attempt, reason, notes }: Deferral): Promise<void> {
    await this.#delay(delayMs, !attempt, {
      priority: RETURNED,
      ...(reason === undefined ? {} : { failedReason: reason }),
      ...(notes === undefined ? {} : { [NOTES_FIELD]: writeNotes(notes) }),
    });
  }

  /**
   * Puts a job back that was fetched before its time: some process lets delayed jobs go by a clock that is ahead. It costs
   * the job nothing, its place among the others neither. Resolves to whether it was put back.
   * @throws when Redis no longer holds our lock.
   */
  async putBackEarly(): Promise<boolean> {
    const { job, clock } = this.#parts;
    const { dueAt, delayMs } = await this.#due();
    const leftMs = dueAt - clock();
    // More than it was to wait in all: not the job is early, the clock was set back. And what cannot be read is not early.
    const isEarly = leftMs > EARLY_MS && leftMs <= delayMs;
    if (!isEarly) return false;
    await this.#delay(leftMs, true, { priority: job.priority });
    return true;
  }

  /** When the job was to start at the earliest, and how long it was to wait. Asks Redis only about one that was put off. */
  async #due(): Promise<{ dueAt: number; delayMs: number }> {
    const { job, redis, keys } = this.#parts;
    const stored = this.attemptsStarted > 1 ? await redis.hget(keys.jobPrefix + this.id, DUE_FIELD) : null;
    const [dueAt = 0, delayMs = 0] = (stored ?? "").split(" ").map(Number);
    if (stored !== null) return { dueAt, delayMs };
    const { delay = 0 } = job.opts;
    return { dueAt: job.timestamp + delay, delayMs: delay };
  }

  async #delay(
    delayMs: number,
    skipAttempt: boolean,
    fields: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    const { worker, token, clock } = this.#parts;
    const now = clock();
    const wholeMs = Math.max(0, Math.round(delayMs));
    await worker.getBackend().moveToDelayed(this.id, now, wholeMs, token, {
      skipAttempt,
      fieldsToUpdate: { ...fields, [DUE_FIELD]: `${now + wholeMs} ${wholeMs}` },
    });
  }

  /**
   * Ends the job in the failed set, from where the mover takes it to the dead letter store. The job's own keep
   * options are overruled: a dead job must never vanish before it was moved.
   * @throws when Redis no longer holds our lock.
   */
  async fail(failure: Failure): Promise<void> {
    const { job, worker, token, redis, keys, clock } = this.#parts;
    const reason = `${failure.errorClass}: ${failure.message}`;
    const fields = {
      failedReason: reason,
      stacktrace: JSON.stringify([reason]),
      [FAILURE_FIELD]: JSON.stringify(failure),
    };
    await failWith(worker, job, { token, at: clock(), reason, fields });
    await redis.zrem(keys.deadlines, this.id);
  }
}

/**
 * What stays of a job's data once it has ended: all but its request, which nobody needs any more. Job data like any other
 * for who reads it.
 */
function withoutPayload(data: unknown): unknown {
  if (typeof data !== "object" || data === null || !("payload" in data)) return {};
  const nothing: Payload = { encoding: "json", json: "null" };
  return { ...data, payload: nothing };
}
