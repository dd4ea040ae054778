/**
 * What happens to a job in hand before its call: every reason not to call comes first, then the gate, then the last
 * look before the start. What follows the start is in `run.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  deadlineFailure,
  jobDataSchema,
  jobRequestSchema,
  NO_NOTES,
  type JobData,
  type JobRequest,
} from "@sluice/job";
import type { Candidate, DrainOptions, Grant } from "./candidate.ts";
import { askChain } from "./chain.ts";
import { Hands, names } from "./hands.ts";
import { describe, insist } from "./insist.ts";
import type { Held } from "./ports.ts";
import { pollDelayMs } from "./poll.ts";
import { callCap, malformed, stalledTooOften } from "./reasons.ts";
import { Runner } from "./run.ts";
import { NOTHING } from "./settlement.ts";

/** Starts a granted job; the intake does not wait for it. */
export type Start = () => Promise<void>;

/** Time to store an answer, beyond the longest call. */
const LEASE_GRACE_MS = 60_000;

/** How long a job that cannot run here now stays away. */
const ELSEWHERE_MS = 1_000;

/** Calls beyond its attempts that crashes may cost a job. */
const SPARE_CALLS = 2;

/**
 * Far more stalls than crashes of others explain, for a job that kills its worker before its call. A job that merely
 * waits at the gate while its worker dies is counted too, and must not die of it.
 */
const MAX_STALLS = 20;

/**
 * From this many stalls on a job is a suspect, and a process runs one suspect at a time: so the neighbours of a job that
 * kills its worker stop being counted out with it. Once is no suspicion: after a crash everything comes back at once.
 */
const SUSPECT_STALLS = 2;

/**
 * How often a question before the call is asked again, over about 25 s. An outage of Redis is mostly shorter; what will
 * never be answered (a record of another version) must not hold its lane for ever.
 */
const QUESTION_TRIES = 16;

/** How long a job stays away about which something could not be found out. */
const UNANSWERED_MS = 30_000;

export class Drain {
  readonly #options: DrainOptions;
  readonly #hands: Hands;
  readonly #runner: Runner;
  /** Runs in this process by job id: one that is fetched again meanwhile waits for its own result. */
  readonly #running = new Map<string, AbortController>();
  /** Jobs that wait at the gate here, each with what wakes it when its caller wants it no more. */
  readonly #atGate = new Map<string, AbortController>();
  /** The one suspect in flight here: if it is the killer, it takes no other one with it. */
  #suspect: string | undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#hands = new Hands(options.emit);
    this.#runner = new Runner(options, this.#hands);
  }

  /**
   * Decides about a job in hand. Resolves to its start once the gate granted it and its time has come, or to
   * `undefined` after the job was ended or handed back.
   */
  async take(job: Held, stopping: AbortSignal): Promise<Start | undefined> {
    try {
      return await this.#take(job, stopping);
    } catch (error) {
      this.#clear(job);
      // Redis may be gone, and the process wants to: the stall check has the job.
      if (stopping.aborted) throw error;
      this.#options.emit("worker:error", { part: "intake", error: describe(error) });
      await job.defer({ delayMs: UNANSWERED_MS, attempt: false });
      return undefined;
    }
  }

  async #take(job: Held, stopping: AbortSignal): Promise<Start | undefined> {
    const { clock, emit } = this.#options;
    const parsed = jobDataSchema.safeParse(job.data);
    if (!parsed.success) {
      await job.fail(malformed());
      emit("worker:error", { part: "intake", error: `The data of job ${job.id} cannot be read` });
      return undefined;
    }
    const data = parsed.data;

    const ended = await this.#ask(() => this.#options.outcomes.get(job.id), "outcomes", stopping);
    if (ended !== undefined) return this.#hands.recover(job, data, ended);
    if (job.deferredFailure !== undefined || job.stalls > MAX_STALLS) {
      return this.#hands.die(job, data, stalledTooOften(job.stalls, job.deferredFailure));
    }
    if (clock() >= data.deadlineAt) return this.#hands.die(job, data, deadlineFailure());
    if (await this.#cancelled(job.id, stopping)) return this.#runner.cancel({ job, data });
    if (this.#running.has(job.id)) return this.#hands.defer(job, data, "running-here", ELSEWHERE_MS);
    if (this.#mustRunAlone(job)) return this.#deferSuspect(job, data);

    const work = await this.#readWork(data);
    if (work === undefined) return this.#hands.die(job, data, malformed());
    const shared = await this.#tryCache(job, data, work, stopping);
    if (shared) return undefined;
    const notes = job.attemptsStarted > 1 ? await this.#ask(() => job.notes(), "notes", stopping) : NO_NOTES;
    return this.#admit({ job, data, work, notes }, stopping);
  }

  /** The jobs that can be cancelled here: at the gate, or with a call in flight. */
  get inHand(): Iterable<string> {
    return [...this.#atGate.keys(), ...this.#running.keys()];
  }

  /** A caller wants this job no more: ends its wait at the gate or its call, if it is here. */
  cancel(id: string): void {
    this.#atGate.get(id)?.abort();
    this.#running.get(id)?.abort();
  }

  /** Answers from the cache, or waits for the job that is being answered the same. False: make the call. */
  async #tryCache(job: Held, data: JobData, work: JobRequest, stopping: AbortSignal): Promise<boolean> {
    if (data.cacheMs === undefined) return false;
    const { cache, emit } = this.#options;
    const { id, tenant, pool, cacheMs: ttlMs } = data;
    // As long as the leader lives: whatever ends it gives the lead away.
    const leadMs = data.deadlineAt - this.#options.clock();
    const question = { id, tenant, pool, work, ttlMs };
    const lead = await this.#ask(() => cache.lead(question, leadMs), "cache", stopping);
    if (lead.type === "leader") return false;
    if (lead.type === "follow") {
      // Nobody wakes it when the answer is there: it looks again, ever less often.
      const delayMs = Math.min(lead.retryAfterMs, pollDelayMs(job.attemptsStarted - 1, 0));
      await this.#hands.defer(job, data, "shared", delayMs);
    } else {
      emit("job:cache-hit", names(data));
      await this.#runner.finish(job, data, "completed", { ...lead.answer, cached: true });
    }
    return true;
  }

  /**
   * Waits at the gate, however long; one job per lane and process is here at a time. Handing it back after a while
   * would only put the next one in its place, before the same gate and later in time.
   */
  async #admit(candidate: Candidate, stopping: AbortSignal): Promise<Start | undefined> {
    const { id } = candidate.job;
    const cancelled = new AbortController();
    this.#atGate.set(id, cancelled);
    try {
      return await this.#waitAtGate(candidate, stopping, cancelled);
    } finally {
      this.#atGate.delete(id);
    }
  }

  async #waitAtGate(
    candidate: Candidate,
    stopping: AbortSignal,
    cancelled: AbortController,
  ): Promise<Start | undefined> {
    const { clock, random } = this.#options;
    const { job, data } = candidate;
    const woken = AbortSignal.any([stopping, cancelled.signal]);
    for (;;) {
      if (stopping.aborted) return this.#hands.defer(job, data, "shutdown", 0);
      if (cancelled.signal.aborted) return this.#runner.cancel(candidate);
      if (clock() >= data.deadlineAt)
        return this.#runner.die(candidate, deadlineFailure(candidate.notes.last));
      const asked = await askChain(candidate, this.#options, async (question) =>
        this.#ask(question, "gate", stopping),
      );
      if (asked.type === "granted") {
        await pause(asked.waitMs, woken);
        return this.#start(candidate, asked.grant, stopping, cancelled).catch((error: unknown) => {
          // What could not be asked holds no slot; the reservation expires by itself.
          asked.grant.release();
          throw error;
        });
      }
      if (asked.type === "elsewhere") return this.#hands.defer(job, data, "no-identity", ELSEWHERE_MS);
      await pause(Math.min(asked.afterMs, data.deadlineAt - clock()) + random() * 2, woken);
    }
  }

  /** The start has come: last checks, the ledger, then the run. */
  async #start(
    candidate: Candidate,
    grant: Grant,
    stopping: AbortSignal,
    cancelled: AbortController,
  ): Promise<Start | undefined> {
    const { emit, clock, ledger, maxLostCalls = 3 } = this.#options;
    const { job, data } = candidate;
    if (stopping.aborted) return this.#refund(grant, () => this.#hands.defer(job, data, "shutdown", 0));
    if (clock() >= data.deadlineAt) {
      return this.#refund(grant, () => this.#runner.die(candidate, deadlineFailure(candidate.notes.last)));
    }
    if (cancelled.signal.aborted || (await this.#cancelled(job.id, stopping))) {
      return this.#refund(grant, () => this.#runner.cancel(candidate));
    }
    // Another lane's suspect may have started while this one waited.
    if (this.#mustRunAlone(job)) return this.#refund(grant, () => this.#deferSuspect(job, data));
    if (job.stalls >= SUSPECT_STALLS) this.#suspect = job.id;
    const maxCalls = data.maxAttempts + SPARE_CALLS;
    const leaseMs = grant.entry.model.budgetMs(candidate.work) + LEASE_GRACE_MS;
    const begun = await this.#ask(() => ledger.begin({ id: job.id, maxCalls, leaseMs }), "ledger", stopping);
    if (begun.type === "go" && begun.lost > maxLostCalls) {
      this.#clear(job);
      await this.#ask(() => ledger.abandon(job.id), "ledger", stopping);
      return this.#refund(grant, () => this.#runner.die(candidate, stalledTooOften(begun.lost)));
    }
    if (begun.type !== "go") this.#clear(job);
    switch (begun.type) {
      case "busy":
        return this.#refund(grant, () =>
          this.#hands.defer(job, data, "running-elsewhere", begun.retryAfterMs),
        );
      case "cap":
        return this.#refund(grant, () => this.#runner.die(candidate, callCap(begun.calls)));
      case "ended":
        // Its outcome was stored between the first look and this one: the next fetch finds it.
        return this.#refund(grant, () => this.#hands.defer(job, data, "running-elsewhere", 0));
      case "go":
        break;
    }
    emit("job:granted", { ...names(data), waitedMs: clock() - data.acceptedAt });
    if (grant.index > 0) emit("job:fallback", { ...names(data), to: grant.entry.pool });
    this.#running.set(job.id, cancelled);
    return async () => {
      try {
        await this.#runner.run(candidate, grant, begun.call, cancelled.signal);
      } finally {
        grant.release();
        this.#running.delete(job.id);
        this.#clear(job);
      }
    };
  }

  #mustRunAlone(job: Held): boolean {
    return job.stalls >= SUSPECT_STALLS && this.#suspect !== undefined;
  }

  async #deferSuspect(job: Held, data: JobData): Promise<undefined> {
    return this.#hands.defer(job, data, "suspect", ELSEWHERE_MS * (1 + this.#options.random()));
  }

  #clear(job: Held): void {
    if (this.#suspect === job.id) this.#suspect = undefined;
  }

  /** Gives the whole grant back: nothing was sent. */
  async #refund(grant: Grant, then: () => Promise<undefined>): Promise<undefined> {
    const { pool } = grant.entry;
    await this.#runner.settle(grant, { pool, outcome: "neutral", actual: NOTHING });
    grant.release();
    return then();
  }

  async #cancelled(id: string, stopping: AbortSignal): Promise<boolean> {
    return this.#ask(() => this.#options.cancels.isRequested(id), "cancels", stopping);
  }

  async #ask<T>(question: () => Promise<T>, part: string, signal: AbortSignal): Promise<T> {
    return insist(question, { part, signal, emit: this.#options.emit, tries: QUESTION_TRIES });
  }

  async #readWork(data: JobData): Promise<JobRequest | undefined> {
    try {
      const request = await this.#options.decodePayload(data.payload);
      return jobRequestSchema.parse({ kind: data.kind, request });
    } catch {
      return undefined;
    }
  }
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs > 0) await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
