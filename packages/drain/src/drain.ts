/**
 * What happens to a job in hand before its call: every reason not to call comes first, then the gate. From the grant to
 * the call it is `start.ts`, from there on `run.ts`.
 */
import {
  deadlineFailure,
  JOB_DATA,
  JOB_DATA_VERSION,
  jobRequestSchema,
  NewerVersionError,
  NO_NOTES,
  readJobData,
  readJobEnvelope,
  type JobData,
  type JobRequest,
} from "@sluice/job";
import type { Candidate, DrainOptions, Grant, Turn } from "./candidate.ts";
import { tryCache } from "./cached.ts";
import { askChain } from "./chain.ts";
import { openDeadline } from "./deadline.ts";
import { JobEnds } from "./job-ends.ts";
import { describe } from "./describe.ts";
import { leftInChain, type LeftCalls } from "./left-calls.ts";
import { Line } from "./line.ts";
import { NewerRecords } from "./newer.ts";
import type { Held } from "./ports.ts";
import { ELSEWHERE_MS, putOff } from "./put-off.ts";
import { malformed, stalledTooOften } from "./reasons.ts";
import { Rest } from "./rest.ts";
import { Runner } from "./run.ts";
import { NOTHING } from "./settlement.ts";
import { outlived, StalledJobs } from "./stalled.ts";
import { StartedCalls } from "./started.ts";
import { Starter } from "./start.ts";

/**
 * Far more stalls than crashes of others explain, for a job that kills its worker as soon as it is fetched. What comes
 * to the gate has not done that: its stalls so far are forgiven.
 */
const MAX_STALLS = 20;

/** How long a job stays away that has failed, while the pool is shut and others wait that have not. Up to twice that. */
const SHUT_AGAIN_MS = 5_000;

/** How long a job stays away about which something could not be found out. */
const UNANSWERED_MS = 30_000;

/** One stay of a job in this process. */
interface Visit {
  readonly id: string;
  readonly cancelled: AbortController;
  readonly shut: AbortController;
  /** While it has a grant and has not started. */
  grant?: Grant | undefined;
}

export class Drain {
  readonly #options: DrainOptions;
  readonly #ends: JobEnds;
  readonly #newer: NewerRecords;
  readonly #runner: Runner;
  readonly #starter: Starter;
  readonly #started: StartedCalls;
  readonly #stalled: StalledJobs;
  readonly #left: LeftCalls;
  readonly #visits = new Set<Visit>();
  /** Jobs whose call runs in this process: one that is fetched again meanwhile waits for its own result. */
  readonly #running = new Set<string>();
  readonly #rest: Rest;
  /** One per lane. */
  readonly #lines = new Map<string, Line>();

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#ends = new JobEnds(options.emit);
    this.#newer = new NewerRecords(options);
    this.#rest = new Rest(options);
    this.#started = new StartedCalls(options);
    this.#runner = new Runner(options, this.#ends, this.#started);
    this.#left = leftInChain(options);
    this.#starter = new Starter(options, this.#ends, this.#runner, this.#left);
    this.#stalled = new StalledJobs(options, this.#ends, this.#runner, this.#starter, this.#left);
  }

  /**
   * Decides about a job in hand. Resolves to its turn as soon as the gate has granted it, or to `undefined` after the job
   * was ended or handed back.
   */
  async take(job: Held, stopping: AbortSignal): Promise<Turn | undefined> {
    const visit: Visit = { id: job.id, cancelled: new AbortController(), shut: new AbortController() };
    this.#visits.add(visit);
    return this.#orPutOff(job, visit, stopping, async () => this.#take(job, stopping, visit));
  }

  /** Resolves when jobs may be fetched: at once, but for a while after one had to be handed back. */
  async ready(signal: AbortSignal): Promise<void> {
    return this.#rest.over(signal);
  }

  /** The jobs that can be cancelled here: before their call, or in it. */
  get inHand(): Iterable<string> {
    return new Set([...this.#visits].map(({ id }) => id));
  }

  /** A caller wants this job no more: ends its wait or its call, if it is here. */
  cancel(id: string): void {
    for (const visit of this.#visits) if (visit.id === id) visit.cancelled.abort();
  }

  /**
   * A pool takes no calls from now on: those it has granted and that have not started go back, or they would all run into
   * what shut it. Not the one call that is to find out whether it works again.
   */
  shut(pool: string): void {
    for (const { grant, shut } of this.#visits) {
      if (grant?.entry.pool === pool && !grant.probe) shut.abort();
    }
  }

  /**
   * One step of a visit, which ends with it unless the step leads to another. What could not be found out puts the job
   * off, unless the process leaves: the stall check has it then.
   */
  async #orPutOff<T>(
    job: Held,
    visit: Visit,
    stopping: AbortSignal,
    step: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    let next: T | undefined;
    try {
      next = await step();
      return next;
    } catch (error) {
      const envelope = readJobEnvelope(job.data);
      if (error instanceof NewerVersionError && envelope !== undefined) {
        return await this.#newer.handBack(job, envelope, error, stopping);
      }
      if (stopping.aborted) throw error;
      this.#options.emit("worker:error", { part: "intake", error: describe(error) });
      await job.defer({ delayMs: UNANSWERED_MS, attempt: false });
      return undefined;
    } finally {
      if (next === undefined) this.#visits.delete(visit);
    }
  }

  async #take(job: Held, stopping: AbortSignal, visit: Visit): Promise<Turn | undefined> {
    const { clock, emit, outcomes, cancels } = this.#options;
    const read = readJobData(job.data);
    if (read.type === "newer" && read.envelope.id === job.id) {
      const record = { what: JOB_DATA, version: read.version, known: JOB_DATA_VERSION };
      return this.#newer.handBack(job, read.envelope, record, stopping);
    }
    // Data of another job is no more its own than data that nobody can read: its answer would be kept under that id.
    if (read.type !== "known" || read.data.id !== job.id) {
      await job.fail(malformed());
      emit("worker:error", { part: "intake", error: `The data of job ${job.id} cannot be read` });
      return undefined;
    }
    const { data } = read;

    // Asked together: one round trip to Redis, however far it is.
    const isFirst = job.attemptsStarted === 1;
    const [ended, cancelled, notes, invocation] = await Promise.all([
      this.#starter.ask(() => outcomes.get(job.id), "outcomes", stopping),
      this.#starter.ask(() => cancels.isRequested(job.id), "cancels", stopping),
      isFirst ? NO_NOTES : this.#starter.ask(() => job.notes(), "notes", stopping),
      isFirst ? undefined : this.#starter.ask(() => job.invocation(), "notes", stopping),
    ]);
    const left = { id: job.id, fetched: job.attemptsStarted - 1, stalls: job.stalls };
    if (ended !== undefined) {
      await this.#left.settleAll(left, ended);
      return this.#ends.recover(job, data, ended);
    }
    // Before all that speaks against a call: there is none to make, and Bedrock may have answered.
    if (invocation !== undefined) {
      await this.#left.settleAll(left);
      return this.#started.turn(job, data, invocation, () => this.#visits.delete(visit));
    }
    const stalls = job.stalls - notes.stallsOutlived;
    if (job.deferredFailure !== undefined || stalls > MAX_STALLS) {
      return this.#ends.die(job, data, stalledTooOften(stalls, job.deferredFailure));
    }
    if (clock() >= data.deadlineAt) return this.#ends.die(job, data, deadlineFailure(notes.last));
    if (cancelled) {
      await this.#left.settleAll(left);
      return this.#runner.cancel({ job, data });
    }
    if (this.#running.has(job.id)) return this.#ends.defer(job, data, "running-here", ELSEWHERE_MS);

    const work = await this.#readWork(job, data, stopping);
    if (work === undefined) return undefined;
    const shared = await tryCache(
      { job, data, work },
      this.#options,
      { starter: this.#starter, ends: this.#ends, runner: this.#runner },
      stopping,
    );
    if (shared) return undefined;
    return this.#admit({ job, data, work, notes: await outlived(job, notes) }, stopping, visit);
  }

  /**
   * Waits at the gate, however long; one job per lane and process asks at a time. Handing it back after a while would only
   * put the next one in its place, before the same gate and later in time.
   */
  async #admit(candidate: Candidate, stopping: AbortSignal, visit: Visit): Promise<Turn | undefined> {
    const { lane } = candidate.data;
    const line = this.#lines.get(lane) ?? new Line();
    this.#lines.set(lane, line);
    if (hasFailed(candidate) && line.goesBack()) {
      const delayMs = SHUT_AGAIN_MS * (1 + this.#options.random());
      return this.#ends.defer(candidate.job, candidate.data, "pool-shut", delayMs);
    }
    // Who waits behind another in the line ends at its own deadline, not at the other's.
    const deadline = openDeadline(candidate.data.deadlineAt, this.#options.clock);
    const gone = AbortSignal.any([stopping, visit.cancelled.signal, deadline.signal]);
    const leave = await line.enter(gone, hasFailed(candidate));
    try {
      return await this.#waitAtGate(candidate, { line, gone }, stopping, visit);
    } finally {
      deadline.clear();
      leave();
    }
  }

  async #waitAtGate(
    candidate: Candidate,
    { line, gone }: { readonly line: Line; readonly gone: AbortSignal },
    stopping: AbortSignal,
    visit: Visit,
  ): Promise<Turn | undefined> {
    const { clock, sleep, random } = this.#options;
    const { job, data } = candidate;
    const { cancelled } = visit;
    const woken = AbortSignal.any([stopping, cancelled.signal]);
    for (let denied = false; ; denied = true) {
      // While the pool takes no calls, one that has not failed shall make the probe, if one waits.
      if (hasFailed(candidate)) await line.giveWay(gone);
      if (stopping.aborted) return this.#ends.defer(job, data, "shutdown", 0);
      if (cancelled.signal.aborted) return this.#runner.cancel(candidate);
      if (clock() >= data.deadlineAt) {
        return this.#runner.die(candidate, deadlineFailure(candidate.notes.last));
      }
      const asked = await askChain(candidate, this.#options, async (question) =>
        this.#starter.ask(question, "gate", stopping),
      );
      const atOnce = asked.type === "granted" && asked.waitMs === 0 && !denied;
      line.passed({ atOnce, shut: asked.type === "wait" && asked.shut });
      if (asked.type === "granted") {
        return { ...this.#turn(candidate, asked, stopping, visit), atOnce };
      }
      if (asked.type !== "wait") {
        const { reason, delayMs, restMs } = putOff(asked, candidate, this.#options);
        if (restMs > 0) this.#rest.begin(restMs);
        return this.#ends.defer(job, data, reason, delayMs);
      }
      await sleep(Math.min(asked.afterMs, data.deadlineAt - clock()) + random() * 2, woken);
    }
  }

  /** A granted job leaves the gate at once, and waits for its start beside it. */
  #turn(
    candidate: Candidate,
    { grant, waitMs }: { grant: Grant; waitMs: number },
    stopping: AbortSignal,
    visit: Visit,
  ): Omit<Turn, "atOnce"> {
    const { job } = candidate;
    const cancelled = visit.cancelled.signal;
    const shut = visit.shut.signal;
    visit.grant = grant;
    const off = AbortSignal.any([stopping, cancelled, shut]);
    const start = async (): Promise<(() => Promise<void>) | undefined> => {
      try {
        return await this.#starter.start(candidate, grant, { stopping, cancelled, shut });
      } catch (error) {
        // What could not be asked holds nothing: no slot, and no reservation, which would count as a call under way.
        grant.slot.release();
        this.#giveBack(grant);
        throw error;
      } finally {
        visit.grant = undefined;
      }
    };
    return {
      waitMs,
      off,
      start: async () => {
        const run = await this.#orPutOff(job, visit, stopping, start);
        if (run === undefined) return undefined;
        this.#running.add(job.id);
        return async () => {
          try {
            await run();
          } finally {
            this.#visits.delete(visit);
            this.#running.delete(job.id);
          }
        };
      },
    };
  }

  /** Nobody waits for this, and its failures are told: the job goes its own way. Settled twice, it counts once. */
  #giveBack(grant: Grant): void {
    const { pool } = grant.entry;
    void this.#runner.settle(grant, { pool, outcome: "neutral", actual: NOTHING }).catch(() => undefined);
  }

  /** Resolves to `undefined` when the job has been disposed of. */
  async #readWork(job: Held, data: JobData, stopping: AbortSignal): Promise<JobRequest | undefined> {
    const decode = async (): Promise<JobRequest | undefined> => {
      try {
        const request = await this.#options.decodePayload(data.payload);
        return jobRequestSchema.parse({ kind: data.kind, request });
      } catch {
        return undefined;
      }
    };
    if (job.stalls > 0) return this.#stalled.read(job, data, decode, stopping);
    return (await decode()) ?? this.#ends.die(job, data, malformed());
  }
}

function hasFailed({ notes }: Candidate): boolean {
  return notes.failures > 0;
}
