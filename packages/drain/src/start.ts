/** From the grant to the call: the last look, the ledger, and the way back for a job that does not start after all. */
import { deadlineFailure, type JobData } from "@sluice/job";
import type { Candidate, DrainOptions, Grant } from "./candidate.ts";
import { refsOf, type JobEnds } from "./job-ends.ts";
import { insist } from "./insist.ts";
import type { LeftCalls } from "./left-calls.ts";
import type { Held, HeldQuota, LedgerAnswer } from "./ports.ts";
import { callCap, MAX_LOST_CALLS, stalledTooOften } from "./reasons.ts";
import type { Runner } from "./run.ts";
import { NOTHING } from "./settlement.ts";
import { Suspects } from "./suspects.ts";

/** Time to store an answer, beyond the call; and all the time that reading a request may take. */
export const LEASE_GRACE_MS = 60_000;

/** Calls beyond its attempts that crashes may cost a job. */
const SPARE_CALLS = 2;

/** How long a suspect stays away that may not run beside others here. Many calls take no longer. */
const SUSPECT_MS = 250;

/**
 * How long a start waits for its slot in another pool. It has one of its own by then: jobs of two pools that answer for
 * each other must not wait for each other's for ever.
 */
const SLOT_MS = 5_000;

/** How long a job stays away that got none. */
const NO_SLOT_MS = 1_000;

/**
 * How often a question before the call is asked again, over about 25 s. An outage of Redis is mostly shorter; what will
 * never be answered (a record of another version) must not hold its lane for ever.
 */
const QUESTION_TRIES = 16;

/** What may happen between the grant and the start. */
export interface Signals {
  /** The process leaves. */
  readonly stopping: AbortSignal;
  /** The caller wants the job no more. */
  readonly cancelled: AbortSignal;
  /** The pool that granted the call takes none now. */
  readonly shut: AbortSignal;
}

export class Starter {
  readonly suspects: Suspects = new Suspects(MAX_LOST_CALLS);
  readonly #options: DrainOptions;
  readonly #ends: JobEnds;
  readonly #runner: Runner;
  readonly #left: LeftCalls;

  constructor(options: DrainOptions, ends: JobEnds, runner: Runner, left: LeftCalls) {
    this.#options = options;
    this.#ends = ends;
    this.#runner = runner;
    this.#left = left;
  }

  /** The start has come. Resolves to the call, or to `undefined` when the job has been disposed of. */
  async start(
    candidate: Candidate,
    grant: Grant,
    { stopping, cancelled, shut }: Signals,
  ): Promise<(() => Promise<void>) | undefined> {
    const { emit, clock, ledger } = this.#options;
    const { job, data } = candidate;
    const hasSlot = grant.index === 0 || (await takeSlot(grant, [stopping, cancelled, shut]));
    if (stopping.aborted) return this.#refund(grant, () => this.#ends.defer(job, data, "shutdown", 0));
    if (cancelled.aborted) return this.#refund(grant, () => this.#runner.cancel(candidate));
    if (clock() >= data.deadlineAt) {
      return this.#refund(grant, () => this.#runner.die(candidate, deadlineFailure(candidate.notes.last)));
    }
    if (shut.aborted) return this.#refund(grant, () => this.#ends.defer(job, data, "pool-shut", 0));
    if (!hasSlot) return this.#refund(grant, () => this.#ends.defer(job, data, "no-slot", NO_SLOT_MS));
    const { isCancelled, begun } = await this.#lastLook(candidate, grant, stopping);
    const giveBack = async (then: () => Promise<undefined>): Promise<undefined> => {
      if (begun.type === "go") await this.ask(() => ledger.abandon(job.id), "ledger", stopping);
      return this.#refund(grant, then);
    };
    // Its end closes the entry in the ledger too.
    if (isCancelled) return this.#refund(grant, () => this.#runner.cancel(candidate));
    switch (begun.type) {
      case "busy":
        return giveBack(() => this.#ends.defer(job, data, "running-elsewhere", begun.retryAfterMs));
      case "ended":
        // Its outcome was stored between the first look and this one: the next fetch finds it.
        return giveBack(() => this.#ends.defer(job, data, "running-elsewhere", 0));
      case "cap":
        return giveBack(() => this.#runner.die(candidate, callCap(begun.calls)));
      case "go":
        break;
    }
    const { lost, call } = begun;
    if (lost > MAX_LOST_CALLS) return giveBack(() => this.#runner.die(candidate, stalledTooOften(lost)));
    if (!this.suspects.tryEnter(job.id, lost)) return giveBack(() => this.deferSuspect(job, data));
    emit("job:granted", { ...refsOf(data), waitedMs: clock() - data.acceptedAt });
    if (grant.index > 0) emit("job:fallback", { ...refsOf(data), to: grant.entry.pool });
    return async () => {
      try {
        await this.#runner.run(candidate, grant, call, cancelled);
      } finally {
        this.suspects.leave(job.id);
        grant.slot.release();
      }
    };
  }

  /** Whether the job is cancelled, and whether it may be called: asked together. Rejects with no call left open. */
  async #lastLook(
    { job, data, work }: Candidate,
    { entry: { model }, reservation }: Grant,
    stopping: AbortSignal,
  ): Promise<{ isCancelled: boolean; begun: LedgerAnswer }> {
    const { cancels, ledger } = this.#options;
    const leaseMs = model.budgetMs(work) + LEASE_GRACE_MS;
    const held = { reservation, ifLost: model.unfinished(work, undefined) };
    const [cancelled, begun] = await Promise.allSettled([
      this.ask(() => cancels.isRequested(job.id), "cancels", stopping),
      this.begin(job, data, leaseMs, stopping, held),
    ]);
    if (begun.status === "rejected") throw begun.reason;
    if (cancelled.status === "fulfilled") return { isCancelled: cancelled.value, begun: begun.value };
    // The job would be busy with a call that nobody makes.
    if (begun.value.type === "go") await this.ask(() => ledger.abandon(job.id), "ledger", stopping);
    throw cancelled.reason;
  }

  /**
   * Asks the ledger for a call that counts as in flight for `leaseMs` at most, and settles what it says lost calls hold.
   * @param held what this call holds of the quota. Default: nothing is sent.
   */
  async begin(
    job: Held,
    data: JobData,
    leaseMs: number,
    stopping: AbortSignal,
    held?: HeldQuota,
  ): Promise<LedgerAnswer> {
    const { ledger } = this.#options;
    const maxCalls = data.maxAttempts + SPARE_CALLS;
    const call = { id: job.id, maxCalls, leaseMs, ...(held === undefined ? {} : { held }) };
    const begun = await this.ask(() => ledger.begin(call), "ledger", stopping);
    if ("left" in begun && begun.left.length > 0) await this.#left.settle(job.id, begun.left);
    return begun;
  }

  async deferSuspect(job: Held, data: JobData): Promise<undefined> {
    return this.#ends.defer(job, data, "suspect", SUSPECT_MS * (1 + this.#options.random()));
  }

  /** Asks until there is an answer. */
  async ask<T>(question: () => Promise<T>, part: string, signal: AbortSignal): Promise<T> {
    const { emit, sleep } = this.#options;
    return insist(question, { part, signal, emit, tries: QUESTION_TRIES, sleep });
  }

  /** Gives the whole grant back: nothing was sent. */
  async #refund(grant: Grant, then: () => Promise<undefined>): Promise<undefined> {
    const { pool } = grant.entry;
    await this.#runner.settle(grant, { pool, outcome: "neutral", actual: NOTHING });
    grant.slot.release();
    return then();
  }
}

async function takeSlot({ slot }: Grant, signals: readonly AbortSignal[]): Promise<boolean> {
  return slot.take(AbortSignal.any([...signals, AbortSignal.timeout(SLOT_MS)]));
}
