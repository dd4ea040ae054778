/**
 * What happens to one job of a pool, from the moment it is in hand until it is out of it. `take` decides whether and
 * when it may call; the run it resolves to calls, stores the result, settles the quota and ends the job, in this
 * order: a crash between any two steps costs at most time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  converseRequestSchema,
  jobDataSchema,
  OWN_FAILURES,
  type AnsweredOutcome,
  type Clock,
  type ConverseRequest,
  type DeferReason,
  type Emit,
  type Failure,
  type JobData,
  type Outcome,
  type Payload,
  type Random,
} from "@sluice/job";
import { insist } from "./insist.ts";
import type { CallResult, Cost, Gate, Held, Model, Outcomes, Settlement } from "./ports.ts";
import { nextStep } from "./retry.ts";

export interface DrainOptions {
  readonly pool: string;
  readonly gate: Gate;
  readonly outcomes: Outcomes;
  readonly model: Model;
  readonly decodePayload: (payload: Payload) => Promise<unknown>;
  /** How long a call may take, milliseconds. */
  readonly callTimeoutMs: number;
  /** A job whose worker vanished under it more often than this is dead. Default 3. */
  readonly maxStalls?: number;
  /** Fires when the process has no time left: calls in flight are aborted and handed back. */
  readonly abort: AbortSignal;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
}

/** The reservation of a worker that died is dropped this long after its call must have ended. */
const RESERVATION_GRACE_MS = 60_000;

/** How long a job that cannot run here now stays away. */
const ELSEWHERE_MS = 1_000;

/** Node's timers wrap around beyond this. No call lasts that long. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const NOTHING: Cost = { requests: 0, tokens: 0, "input-tokens": 0, "output-tokens": 0 };
const ONE_REQUEST: Cost = { ...NOTHING, requests: 1 };
const AS_RESERVED: Cost = {};

/** A job that passed every check and waits for its grant. */
interface Candidate {
  readonly job: Held;
  readonly data: JobData;
  readonly request: ConverseRequest;
  readonly reservation: string;
}

export class Drain {
  readonly #options: DrainOptions;
  readonly #maxStalls: number;
  /** Ids of runs in this process: one that is fetched again meanwhile waits for its own result. */
  readonly #running = new Set<string>();
  /**
   * The one job in flight here whose worker vanished before. Only one at a time: if it is the killer, it takes no
   * other suspect with it, so an innocent neighbour is never counted out with it.
   */
  #suspect: string | undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#maxStalls = options.maxStalls ?? 3;
  }

  /**
   * Decides about a job in hand. Resolves to its run once the gate granted it and its start has come, or to
   * `undefined` after the job was ended or handed back.
   */
  async take(job: Held, stopping: AbortSignal): Promise<(() => Promise<void>) | undefined> {
    const { emit, clock, outcomes } = this.#options;
    const parsed = jobDataSchema.safeParse(job.data);
    if (!parsed.success) return this.#endUnreadable(job);
    const data = parsed.data;

    const ended = await insist(() => outcomes.get(job.id), { part: "outcomes", signal: stopping, emit });
    if (ended !== undefined) return this.#recover(job, data, ended);

    if (job.deferredFailure !== undefined || job.stalls > this.#maxStalls) {
      return this.#die(job, data, stalledTooOften(job));
    }
    if (clock() >= data.deadlineAt) return this.#die(job, data, deadlinePassed());
    if (this.#running.has(job.id)) return this.#defer(job, data, "running-here", ELSEWHERE_MS);
    if (job.stalls > 0 && this.#suspect !== undefined) {
      return this.#defer(job, data, "suspect", ELSEWHERE_MS * (1 + this.#options.random()));
    }

    const request = await this.#readRequest(data);
    if (request === undefined) return this.#die(job, data, malformed());

    const reservation = `${job.id}/${job.attemptsStarted}/${data.pool}`;
    return this.#admit({ job, data, request, reservation }, stopping);
  }

  /**
   * Waits at the gate, however long; one job per lane and process is here at a time. Handing it back after a while
   * would only put the next one in its place, before the same gate and later in time.
   */
  async #admit(candidate: Candidate, stopping: AbortSignal): Promise<(() => Promise<void>) | undefined> {
    const { gate, model, emit, clock, random, callTimeoutMs } = this.#options;
    const { job, data, request, reservation } = candidate;
    const { pool, lane } = data;
    const cost = model.reserve(request);
    const ttlMs = callTimeoutMs + RESERVATION_GRACE_MS;
    for (;;) {
      if (stopping.aborted) return this.#defer(job, data, "shutdown", 0);
      if (clock() >= data.deadlineAt) return this.#die(job, data, deadlinePassed());
      const admission = await insist(() => gate.admit({ pool, lane, id: reservation, cost, ttlMs }), {
        part: "gate",
        signal: stopping,
        emit,
      });
      if (admission.type === "granted") {
        await pause(admission.waitMs, stopping);
        return this.#start(candidate, stopping);
      }
      await pause(admission.afterMs + random() * 2, stopping);
    }
  }

  /** The start has come: last checks, then the run. */
  async #start(candidate: Candidate, stopping: AbortSignal): Promise<(() => Promise<void>) | undefined> {
    const { emit, clock } = this.#options;
    const { job, data, reservation } = candidate;
    const late = clock() >= data.deadlineAt;
    if (late || stopping.aborted) {
      await this.#settle({ pool: data.pool, id: reservation, outcome: "neutral", actual: NOTHING });
      return late ? this.#die(job, data, deadlinePassed()) : this.#defer(job, data, "shutdown", 0);
    }
    emit("job:granted", { ...names(data), waitedMs: clock() - data.acceptedAt });
    this.#running.add(job.id);
    if (job.stalls > 0) this.#suspect = job.id;
    return async () => {
      try {
        await this.#run(candidate);
      } finally {
        this.#running.delete(job.id);
        if (this.#suspect === job.id) this.#suspect = undefined;
      }
    };
  }

  async #run(candidate: Candidate): Promise<void> {
    const { model, abort, clock } = this.#options;
    const { job, data, request } = candidate;
    const deadline = AbortSignal.timeout(Math.min(Math.max(0, data.deadlineAt - clock()), LONGEST_TIMER_MS));
    const result = await model.call(request, { jobId: job.id, signal: AbortSignal.any([abort, deadline]) });
    switch (result.type) {
      case "answered":
      case "filtered":
        return this.#finish(candidate, result);
      case "failed":
        return this.#failed(candidate, result);
      case "aborted":
        // The call may have been answered and billed: it counts as reserved.
        await this.#settleCall(candidate, "neutral", AS_RESERVED);
        if (deadline.aborted) return this.#die(job, data, deadlinePassed());
        return this.#defer(job, data, "shutdown", 0);
    }
  }

  /** Result first: from here on no crash can make this job pay again. */
  async #finish(
    candidate: Candidate,
    result: Extract<CallResult, { type: "answered" | "filtered" }>,
  ): Promise<void> {
    const { outcomes, model, emit, clock, abort } = this.#options;
    const { job, data } = candidate;
    const { answer } = result;
    const outcome: AnsweredOutcome = {
      outcome: result.type === "answered" ? "completed" : "filtered",
      id: job.id,
      tenant: data.tenant,
      acceptedAt: data.acceptedAt,
      endedAt: clock(),
      attempts: job.attemptsMade + 1,
      answer,
    };
    await insist(() => outcomes.put(outcome), { part: "outcomes", signal: abort, emit });
    await this.#settleCall(candidate, "ok", model.settled(answer.usage));
    await job.complete(reference(outcome));
    if (outcome.outcome === "completed") {
      const waitedMs = outcome.endedAt - data.acceptedAt - answer.latencyMs;
      const { usage, latencyMs, model: modelId } = answer;
      emit("job:completed", { ...names(data), waitedMs, latencyMs, usage, model: modelId });
    } else {
      const { usage, stopReason, model: modelId } = answer;
      emit("job:filtered", { ...names(data), usage, stopReason, model: modelId });
    }
  }

  async #failed(candidate: Candidate, result: Extract<CallResult, { type: "failed" }>): Promise<void> {
    const { clock, random, emit } = this.#options;
    const { job, data } = candidate;
    const { failure, billed } = result;
    const actual = { nothing: NOTHING, request: ONE_REQUEST, estimate: AS_RESERVED }[billed];
    await this.#settleCall(candidate, settleOutcome(result), actual, failure);
    const systemicDeferrals = failure.kind === "systemic" ? await job.systemicDeferrals() : 0;
    const step = nextStep(failure, {
      systemicDeferrals,
      attemptsMade: job.attemptsMade,
      attemptsStarted: job.attemptsStarted,
      maxAttempts: data.maxAttempts,
      deadlineAt: data.deadlineAt,
      now: clock(),
      random,
    });
    if (step.type === "dead") return this.#die(job, data, step.failure);
    const { delayMs, attempt } = step;
    await job.defer({
      delayMs,
      attempt,
      reason: `${failure.errorClass}: ${failure.message}`,
      ...(failure.kind === "systemic" ? { systemicDeferrals: systemicDeferrals + 1 } : {}),
    });
    emit("job:retry", { ...names(data), failure, delayMs, attempt });
    return undefined;
  }

  async #settleCall(
    { data, reservation }: Candidate,
    outcome: Settlement["outcome"],
    actual: Cost,
    failure?: Failure,
  ): Promise<void> {
    const dimension = failure?.dimension;
    const throttledDimension =
      outcome !== "throttled" || dimension === "capacity" || dimension === "unknown" ? undefined : dimension;
    await this.#settle({
      pool: data.pool,
      id: reservation,
      outcome,
      actual,
      ...(throttledDimension === undefined ? {} : { throttledDimension }),
    });
  }

  async #settle(settlement: Settlement): Promise<void> {
    const { gate, emit, abort } = this.#options;
    await insist(() => gate.settle(settlement), { part: "gate", signal: abort, emit });
  }

  /** The job came back although it has ended: its last run died, or lost its lock, after the result was stored. */
  async #recover(job: Held, data: JobData, outcome: Outcome): Promise<undefined> {
    if (outcome.outcome === "dead") await job.fail(outcome.failure);
    else await job.complete(reference(outcome));
    this.#options.emit("job:recovered", names(data));
  }

  async #defer(job: Held, data: JobData, reason: DeferReason, delayMs: number): Promise<undefined> {
    await job.defer({ delayMs, attempt: false });
    this.#options.emit("job:deferred", { ...names(data), reason, delayMs });
  }

  async #die(job: Held, data: JobData, failure: Failure): Promise<undefined> {
    await job.fail(failure);
    this.#options.emit("job:dead", { ...names(data), failure, attempts: job.attemptsMade + 1 });
  }

  async #endUnreadable(job: Held): Promise<undefined> {
    await job.fail(malformed());
    this.#options.emit("worker:error", { part: "intake", error: `The data of job ${job.id} cannot be read` });
  }

  async #readRequest(data: JobData): Promise<ConverseRequest | undefined> {
    try {
      return converseRequestSchema.parse(await this.#options.decodePayload(data.payload));
    } catch {
      return undefined;
    }
  }
}

/** What BullMQ keeps of an end: small, and free of text. */
function reference(outcome: AnsweredOutcome): Record<string, string | number> {
  const { model, usage } = outcome.answer;
  return {
    outcome: outcome.outcome,
    model,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
  };
}

function names({ id, tenant, pool, lane }: JobData): Pick<JobData, "id" | "tenant" | "pool" | "lane"> {
  return { id, tenant, pool, lane };
}

/** An overloaded model is a failing pool, not a quota that was overdrawn. */
function settleOutcome({ failure, breaker }: Extract<CallResult, { type: "failed" }>): Settlement["outcome"] {
  if (breaker) return "failed";
  return failure.kind === "throttled" && failure.dimension !== "capacity" ? "throttled" : "neutral";
}

function deadlinePassed(): Failure {
  return { kind: "terminal", errorClass: OWN_FAILURES.deadline, message: "The deadline passed" };
}

function stalledTooOften({ stalls, deferredFailure }: Held): Failure {
  const message = deferredFailure ?? `Its worker vanished under it ${stalls} times`;
  return { kind: "terminal", errorClass: OWN_FAILURES.stalled, message: message.slice(0, 200) };
}

function malformed(): Failure {
  return {
    kind: "terminal",
    errorClass: OWN_FAILURES.malformed,
    message: "The job's data is not of a version this worker can read",
  };
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs > 0) await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
