/**
 * What happens to a job from its start: call, store the outcome, settle the quota, end the job, in this order. A crash
 * between any two steps costs at most time.
 */
import {
  deadlineFailure,
  factsOf,
  FAILURES,
  type Answer,
  type AnsweredOutcome,
  type Failure,
  type JobData,
  type JobRequest,
  type Outcome,
} from "@sluice/job";
import type { Candidate, DrainOptions, Grant } from "./candidate.ts";
import { openDeadline } from "./deadline.ts";
import { ending, refsOf, type JobEnds } from "./job-ends.ts";
import { describe } from "./describe.ts";
import { insist } from "./insist.ts";
import type { CallResult, ChunkWriter, Gate, Held, Settlement } from "./ports.ts";
import { mayBePaid, nextStep } from "./retry.ts";
import { costOf, ONE_REQUEST, settlementOf, type Failed } from "./settlement.ts";
import type { StartedCalls } from "./started.ts";
import { filteredAnswer, streamEnd } from "./told.ts";

/** A job that ends; its request is known once it has been read. */
type Ending = Pick<Candidate, "job" | "data"> & { readonly work?: JobRequest };

export class Runner {
  readonly #options: DrainOptions;
  readonly #ends: JobEnds;
  readonly #startedCalls: StartedCalls;

  constructor(options: DrainOptions, ends: JobEnds, startedCalls: StartedCalls) {
    this.#options = options;
    this.#ends = ends;
    this.#startedCalls = startedCalls;
  }

  /** Makes the `call`-th call of a job and sees it through. `cancelled` fires when its caller wants it no more. */
  async run(candidate: Candidate, grant: Grant, call: number, cancelled: AbortSignal): Promise<void> {
    const { abort, clock, monotonic } = this.#options;
    const { job, data, work } = candidate;
    const writer = this.#openStream(candidate, call);
    const deadline = openDeadline(data.deadlineAt, clock);
    const startedAt = monotonic();
    const result = await grant.entry.model
      .call(work, {
        jobId: job.id,
        lane: data.lane,
        signal: AbortSignal.any([abort, deadline.signal, cancelled]),
        onText: (text) => writer?.write(text),
      })
      .finally(deadline.clear);
    switch (result.type) {
      case "answered":
      case "filtered":
        return this.#answered(candidate, grant, result, writer);
      case "started":
        return this.#started(candidate, grant, result.invocationArn);
      case "failed":
        return this.#failed(candidate, grant, result, { writer, callMs: monotonic() - startedAt });
      case "aborted":
        return this.#aborted(candidate, grant, result, writer, { cancelled, deadline: deadline.signal });
    }
  }

  /** Stores an answer as the job's outcome and ends the job. Result first: from here on no crash pays again. */
  async finish(
    job: Held,
    data: JobData,
    outcome: AnsweredOutcome["outcome"],
    answer: Answer,
  ): Promise<undefined> {
    return this.#end(job, data, undefined, { outcome, answer, ...ending(job, data, this.#options.clock()) });
  }

  /** Ends a job that its caller wants no more. */
  async cancel({ job, data, work }: Ending, writer?: ChunkWriter): Promise<undefined> {
    await this.#share(data, work, undefined);
    return this.#end(job, data, writer, {
      outcome: "cancelled",
      ...ending(job, data, this.#options.clock()),
    });
  }

  /** Settles a grant, once for its reservation, however often it takes to be heard. */
  async settle(grant: Grant, settlement: Omit<Settlement, "id">): ReturnType<Gate["settle"]> {
    const { emit, abort, sleep } = this.#options;
    return insist(() => grant.entry.gate.settle({ ...settlement, id: grant.reservation }), {
      part: "gate",
      signal: abort,
      emit,
      sleep,
    });
  }

  async #answered(
    { job, data, work }: Candidate,
    grant: Grant,
    result: Extract<CallResult, { answer: Answer }>,
    writer: ChunkWriter | undefined,
  ): Promise<void> {
    const { filteredMessage } = this.#options;
    const { pool, model } = grant.entry;
    const { usage } = result.answer;
    const filtered = result.type === "filtered";
    const isReplaced = filtered && filteredMessage !== undefined;
    const answer = {
      ...(filtered ? filteredAnswer(result.answer, filteredMessage) : result.answer),
      ...(result.usageEstimated === true ? { usageEstimated: true } : {}),
    };
    // On its way before the outcome is: a crash in between must not leave the model's words readable.
    if (isReplaced) writer?.replace(filteredMessage);
    const outcome: AnsweredOutcome = {
      outcome: filtered ? "filtered" : "completed",
      answer,
      ...ending(job, data, this.#options.clock()),
      reservation: grant.reservation,
    };
    const first = await this.#store(outcome);
    await this.settle(grant, {
      pool,
      outcome: "ok",
      actual: model.settled(usage),
      operation: factsOf(work).operation,
    });
    if (result.usageEstimated !== true) model.learn(data, work, usage);
    // It may have ended while it ran: cancelled by its caller, or answered by a run that had lost its lock. The first end
    // counts.
    const ended = first ? outcome : ((await this.#firstEnd(job.id)) ?? outcome);
    await this.#endStream(writer, streamEnd(ended, ended === outcome));
    await this.#share(data, work, filtered ? undefined : answer);
    if (ended === outcome) return this.#ends.end(job, data, outcome);
    if (ended.outcome === "cancelled") return this.#ends.end(job, data, ended);
    return this.#ends.recover(job, data, ended);
  }

  /** Bedrock has taken an async call on: from now on it is polled, and holds nothing here. */
  async #started({ job, data, work }: Candidate, grant: Grant, arn: string): Promise<void> {
    await this.#startedCalls.handOver(job, data, arn);
    await this.settle(grant, {
      pool: grant.entry.pool,
      outcome: "ok",
      actual: ONE_REQUEST,
      operation: factsOf(work).operation,
    });
    await this.#closeLedger(job.id, true);
    await this.#startedCalls.complete(job, data, arn);
  }

  async #failed(
    candidate: Candidate,
    grant: Grant,
    result: Failed,
    { writer, callMs }: { writer: ChunkWriter | undefined; callMs: number },
  ): Promise<void> {
    const { cancels, emit, chain, clock, random } = this.#options;
    const { job, data, work, notes } = candidate;
    const { failure } = result;
    const settled = await this.settle(grant, {
      pool: grant.entry.pool,
      actual: costOf(result, grant.entry, work),
      operation: factsOf(work).operation,
      retry: FAILURES[result.rule].costs !== "life",
      ...settlementOf(result),
    });
    const tried = {
      attemptsMade: job.attemptsMade,
      maxAttempts: data.maxAttempts,
      notes,
      settled,
      callMs,
      reservedTokens: grant.entry.model.reserve(work).tokens ?? 0,
      index: grant.index,
      pools: chain.length,
      now: clock(),
      deadlineAt: data.deadlineAt,
      random,
    };
    await this.#closeLedger(job.id, mayBePaid(result, tried));
    if (await cancels.isRequested(job.id).catch(() => false)) return this.cancel(candidate, writer);
    const step = nextStep(result, tried);
    if (step.type === "dead") return this.die(candidate, step.failure, writer);
    await writer?.leave();
    const { delayMs, attempt } = step;
    await job.defer({
      delayMs,
      attempt,
      reason: `${failure.errorClass}: ${failure.message}`,
      notes: step.notes,
    });
    emit("job:retry", { ...refsOf(data), failure, delayMs, attempt });
  }

  /** Our own signal ended the call. It may have been answered and billed: it is charged as one that was cut. */
  async #aborted(
    candidate: Candidate,
    grant: Grant,
    result: Extract<CallResult, { type: "aborted" }>,
    writer: ChunkWriter | undefined,
    { cancelled, deadline }: { cancelled: AbortSignal; deadline: AbortSignal },
  ): Promise<void> {
    const { job, data, work } = candidate;
    const { pool, model } = grant.entry;
    const actual = model.unfinished(work, result.observedOutputTokens);
    await this.settle(grant, { pool, outcome: "neutral", actual });
    if (cancelled.aborted) return this.cancel(candidate, writer);
    await this.#closeLedger(job.id, true);
    if (deadline.aborted) return this.die(candidate, deadlineFailure(candidate.notes.last), writer);
    await writer?.leave();
    return this.#ends.defer(job, data, "shutdown", 0);
  }

  /** Ends a job that failed for good. */
  async die({ job, data, work }: Candidate, failure: Failure, writer?: ChunkWriter): Promise<undefined> {
    await this.#endStream(writer, "failed");
    await this.#share(data, work, undefined);
    return this.#ends.die(job, data, failure);
  }

  /** Gives the answer to equal requests that wait for it; without one, the right to ask for it to the next of them. */
  async #share(data: JobData, work: JobRequest | undefined, answer: Answer | undefined): Promise<void> {
    if (data.cacheMs === undefined || work === undefined) return;
    const { cache } = this.#options;
    const { id, tenant, pool, cacheMs: ttlMs } = data;
    const question = { id, tenant, pool, work, ttlMs };
    // Losing an answer for others must not cost the job its own.
    await (answer === undefined ? cache.release(question) : cache.put(question, answer)).catch(
      this.#onError("cache"),
    );
  }

  /** A stream's text is readable while it is written, and bounded by what the request lets the model write. */
  #openStream({ data, work }: Candidate, call: number): ChunkWriter | undefined {
    const { isStreamed, sized } = factsOf(work);
    if (!isStreamed || sized === undefined) return undefined;
    return this.#options.chunks.open({ id: data.id, call, maxTokens: sized.maxTokens });
  }

  async #end(
    job: Held,
    data: JobData,
    writer: ChunkWriter | undefined,
    outcome: Exclude<Outcome, { outcome: "dead" }>,
  ): Promise<undefined> {
    const first = await this.#store(outcome);
    const ended = first ? outcome : ((await this.#firstEnd(job.id)) ?? outcome);
    await this.#endStream(writer, streamEnd(ended, false));
    if (ended.outcome === "dead") return this.#ends.recover(job, data, ended);
    return this.#ends.end(job, data, ended);
  }

  /** Readers find the outcome by themselves, just later: losing this event is not worth holding the job for. */
  async #endStream(writer: ChunkWriter | undefined, how: Parameters<ChunkWriter["end"]>[0]): Promise<void> {
    await writer?.end(how).catch(this.#onError("chunks"));
  }

  /** Holds the outcome until it is stored. Resolves to whether it is the job's first. */
  async #store(outcome: Outcome): Promise<boolean> {
    const { outcomes, emit, abort, sleep } = this.#options;
    return insist(() => outcomes.put(outcome), { part: "outcomes", signal: abort, emit, sleep });
  }

  async #firstEnd(id: string): Promise<Outcome | undefined> {
    const { outcomes, emit, abort, sleep } = this.#options;
    return insist(() => outcomes.get(id), { part: "outcomes", signal: abort, emit, sleep });
  }

  /** A call that cannot have been paid does not count against the cap. */
  async #closeLedger(id: string, counts: boolean): Promise<void> {
    const { ledger, emit, abort, sleep } = this.#options;
    await insist(() => (counts ? ledger.end(id) : ledger.abandon(id)), {
      part: "ledger",
      signal: abort,
      emit,
      sleep,
    });
  }

  #onError(part: string): (error: unknown) => void {
    return (error) => this.#options.emit("worker:error", { part, error: describe(error) });
  }
}
