/**
 * What happens to an async call after Bedrock has taken it on: polled in steps that hold no slot of the pool and need
 * no admission, from a queue of their own.
 */
import {
  deadlineFailure,
  JOB_DATA,
  JOB_DATA_VERSION,
  NewerVersionError,
  NO_NOTES,
  readJobData,
  type Answer,
  type Clock,
  type Emit,
  type Failure,
  type JobData,
  type LastFailure,
  type Outcome,
  type Random,
} from "@sluice/job";
import { ending, JobEnds } from "./job-ends.ts";
import { insist } from "./insist.ts";
import { NewerRecords } from "./newer.ts";
import type { Cancels, Held, Outcomes } from "./ports.ts";
import { asyncTimeout, malformed } from "./reasons.ts";
import { filteredAnswer } from "./told.ts";

export type PollResult =
  | { readonly type: "in-progress" }
  | { readonly type: "answered" | "filtered"; readonly answer: Answer }
  /** Bedrock ended the call without an answer, or does not know it. */
  | { readonly type: "stopped"; readonly failure: Failure }
  | { readonly type: "failed"; readonly failure: Failure }
  | { readonly type: "aborted" };

export interface PollerOptions {
  readonly poll: (invocationArn: string, signal: AbortSignal) => Promise<PollResult>;
  readonly outcomes: Outcomes;
  readonly cancels: Cancels;
  /** How long Bedrock may take over a call, milliseconds. Default one hour. */
  readonly limitMs?: number;
  /** What callers get instead of an answer that a content filter stopped. Default: what the model said. */
  readonly filteredMessage?: string | undefined;
  readonly abort: AbortSignal;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
}

const HOUR_MS = 3_600_000;
const FIRST_MS = 1_000;
const GROWTH = 1.5;
const LONGEST_MS = 30_000;

/**
 * How long beyond its deadline a started call is still asked about, milliseconds. What Bedrock has answered is paid for: a
 * job whose deadline falls into an outage of its polls is asked about once more.
 */
export const POLL_GRACE_MS = 60_000;

/** The pause before the next poll: 1 s, half as much again each time, doubled for each error, at most 30 s. Pure. */
export function pollDelayMs(polls: number, errors: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * GROWTH ** Math.min(polls, 20) * 2 ** Math.min(errors, 10));
}

function orNewer(error: unknown): NewerVersionError {
  if (error instanceof NewerVersionError) return error;
  throw error;
}

export class Poller {
  readonly #options: PollerOptions;
  readonly #ends: JobEnds;
  readonly #newer: NewerRecords;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#ends = new JobEnds(options.emit);
    this.#newer = new NewerRecords(options);
  }

  /** Resolves to the poll, or to `undefined` after the job was ended. */
  async take(job: Held, stopping: AbortSignal): Promise<(() => Promise<void>) | undefined> {
    const { outcomes, cancels, emit } = this.#options;
    const read = readJobData(job.data);
    if (read.type === "newer" && read.envelope.id === job.id) {
      const record = { what: JOB_DATA, version: read.version, known: JOB_DATA_VERSION };
      return this.#newer.handBack(job, read.envelope, record, stopping);
    }
    const data = read.type === "known" ? read.data : undefined;
    const invocation = data?.invocation;
    if (data === undefined || invocation === undefined || data.id !== job.id) {
      await job.fail(malformed());
      emit("worker:error", { part: "polls", error: `The data of job ${job.id} cannot be read` });
      return undefined;
    }
    const asked = await insist(() => Promise.all([outcomes.get(job.id), cancels.isRequested(job.id)]), {
      part: "polls",
      signal: stopping,
      emit,
    }).catch(orNewer);
    if (asked instanceof NewerVersionError) return this.#newer.handBack(job, data, asked, stopping);
    const [ended, cancelled] = asked;
    if (ended !== undefined) return this.#ends.recover(job, data, ended);
    // Bedrock offers no way to stop an async call: nobody waits for it any more, that is all.
    if (cancelled)
      return this.#end(job, data, { outcome: "cancelled", ...ending(job, data, this.#options.clock()) });
    return async () => this.#poll(job, data, invocation);
  }

  async #poll(job: Held, data: JobData, invocation: NonNullable<JobData["invocation"]>): Promise<void> {
    const { poll, abort, clock, limitMs = HOUR_MS, filteredMessage } = this.#options;
    const result = await poll(invocation.arn, abort);
    switch (result.type) {
      case "answered":
        return this.#end(job, data, {
          outcome: "completed",
          answer: result.answer,
          ...ending(job, data, clock()),
        });
      case "filtered":
        return this.#end(job, data, {
          outcome: "filtered",
          answer: filteredAnswer(result.answer, filteredMessage),
          ...ending(job, data, clock()),
        });
      case "stopped":
        return this.#ends.die(job, data, result.failure);
      case "aborted":
        return this.#ends.defer(job, data, "shutdown", 0);
      case "in-progress":
        if (clock() - invocation.startedAt >= limitMs) {
          return this.#ends.die(job, data, asyncTimeout(limitMs));
        }
        if (clock() >= data.deadlineAt) return this.#ends.die(job, data, deadlineFailure());
        return this.#again(job, data);
      case "failed":
        // Nothing is known of the call, and the answer may be there: that polls fail is no reason to give it up.
        if (clock() >= data.deadlineAt + POLL_GRACE_MS) {
          return this.#ends.die(job, data, deadlineFailure(result.failure));
        }
        return this.#again(job, data, result.failure);
    }
  }

  /**
   * Errors of polls are counted as attempts, polls by the times the job was fetched. The last error is noted, for the
   * sweeper, which ends the job where no worker does.
   */
  async #again(job: Held, data: JobData, failure?: Failure): Promise<void> {
    const failed = failure !== undefined;
    const errors = job.attemptsMade + (failed ? 1 : 0);
    const delayMs = pollDelayMs(job.attemptsStarted - 1, errors);
    const notes = failed ? { notes: { ...NO_NOTES, last: shortOf(failure) } } : {};
    await job.defer({ delayMs, attempt: failed, ...notes });
    const { id, tenant, pool, lane } = data;
    this.#options.emit("job:deferred", { id, tenant, pool, lane, reason: "polling", delayMs });
  }

  async #end(job: Held, data: JobData, outcome: Exclude<Outcome, { outcome: "dead" }>): Promise<undefined> {
    const { outcomes, emit, abort } = this.#options;
    const insisting = { part: "outcomes", signal: abort, emit };
    const first = await insist(() => outcomes.put(outcome), insisting);
    const ended = first ? outcome : await insist(() => outcomes.get(job.id), insisting);
    // Somebody cancelled it meanwhile: that is how it ended.
    if (ended?.outcome === "dead") return this.#ends.recover(job, data, ended);
    return this.#ends.end(job, data, ended ?? outcome);
  }
}

/** Of a failure: what the job's own death may have to say. */
function shortOf({ kind, errorClass, message }: Failure): LastFailure {
  return { kind, errorClass, message };
}
