/**
 * Accepting a job: everything that can be refused is refused here, before anything is written, with a sentence that
 * says what is wrong and what to do. HTTP and direct producers go through the same door.
 */
import {
  JOB_DATA_VERSION,
  jobRequestSchema,
  newJobId,
  type Clock,
  type Emit,
  type JobData,
  type JobRequest,
  type Outcome,
  type Payload,
  type Random,
  type Submission,
} from "@sluice/job";
import type { Cost } from "./ports.ts";

/** Why a submission was not accepted. The code is stable, the message is for people. */
export interface Refusal {
  readonly type: "refused";
  readonly code: RefusalCode;
  readonly message: string;
  /** With `lane-full` and `redis-full`: when asking again makes sense. */
  readonly retryAfterMs?: number;
}

export type RefusalCode =
  | "unknown-pool"
  | "unknown-lane"
  | "prompt-too-large"
  | "max-tokens-too-large"
  | "cost-exceeds-quota"
  | "idempotency-conflict"
  | "too-far-ahead"
  | "lane-full"
  | "redis-full";

export type Acceptance =
  | {
      readonly type: "accepted";
      readonly id: string;
      readonly repeated: boolean;
      readonly deadlineAt: number;
    }
  | Refusal;

/** A pool as a producer sees it. */
export interface AcceptingPool {
  readonly lanes: readonly string[];
  readonly maxOutputTokens: number;
  readonly defaultMaxTokens: number;
  readonly deadlineMs: number;
  readonly maxAttempts: number;
  /** How long its answers serve equal requests, milliseconds; `null` when they do not. */
  readonly cacheMs: number | null;
  reserve(work: JobRequest): Cost;
  /** What is wrong with a cost that the quota can never admit; `undefined` when it fits. */
  tooCostly(cost: Cost): string | undefined;
  readonly claims: {
    claim(claim: { tenant: string; key: string; request: unknown; id: string }): Promise<{
      type: "new" | "repeated" | "conflict";
      id: string;
    }>;
  };
  readonly outcomes: { get(id: string): Promise<Outcome | undefined> };
  /** Whether the lane has room for one more job. */
  capacity(lane: string): Promise<LaneCapacity>;
  lane(name: string): {
    /** Adds the job under its id, to start `delayMs` from now at the earliest; adding it again is harmless. */
    add(job: JobData, delayMs: number): Promise<void>;
  };
}

export type LaneCapacity =
  | { readonly type: "free" }
  | { readonly type: "full"; readonly reason: "lane-length" | "redis-memory"; readonly retryAfterMs: number };

export interface AcceptOptions {
  readonly pools: ReadonlyMap<string, AcceptingPool>;
  readonly encodePayload: (request: unknown) => Promise<Payload>;
  /** Longest request, in bytes of its JSON. Default 1 MiB. */
  readonly maxRequestBytes?: number;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
}

/** How long an answer serves equal requests when a job asks for it and its pool does not say. */
const DEFAULT_CACHE_MS = 60 * 60 * 1000;

const LONGEST_DELAY_MS = 30 * 24 * 60 * 60 * 1000;

const DEFAULT_MAX_REQUEST_BYTES = 1024 * 1024;

/** Makes the door. The returned function rejects only when Redis does not answer. */
export function createAccept(
  options: AcceptOptions,
): (tenant: string, submission: Submission) => Promise<Acceptance> {
  const { pools, encodePayload, emit, clock, random } = options;
  const maxRequestBytes = options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES;

  return async (tenant, submission) => {
    const pool = pools.get(submission.pool);
    if (pool === undefined) {
      const known = [...pools.keys()].join(", ");
      return refused("unknown-pool", `There is no pool '${submission.pool}'. Pools: ${known}`);
    }
    if (!pool.lanes.includes(submission.lane)) {
      const known = pool.lanes.join(", ");
      return refused(
        "unknown-lane",
        `Pool '${submission.pool}' has no lane '${submission.lane}'. Lanes: ${known}`,
      );
    }

    const work = toWork(submission, pool.defaultMaxTokens);
    const bytes = Buffer.byteLength(JSON.stringify(work.request));
    if (bytes > maxRequestBytes) {
      return refused(
        "prompt-too-large",
        `The request is ${bytes} bytes, more than the ${maxRequestBytes} allowed. Shorten or split it`,
      );
    }
    const maxTokens = work.kind === "async" ? 0 : work.request.maxTokens;
    if (maxTokens > pool.maxOutputTokens) {
      return refused(
        "max-tokens-too-large",
        `Expected \`maxTokens\` to be at most ${pool.maxOutputTokens}, the most this pool's model writes, ` +
          `got ${maxTokens}`,
      );
    }
    const tooCostly = pool.tooCostly(pool.reserve(work));
    if (tooCostly !== undefined) return refused("cost-exceeds-quota", tooCostly);

    const now = clock();
    const delayMs = delayOf(submission, now);
    if (delayMs > LONGEST_DELAY_MS) {
      return refused("too-far-ahead", "Expected `runAt` to be at most 30 days ahead. Send the job later");
    }

    const capacity = await pool.capacity(submission.lane);
    if (capacity.type === "full") return full(capacity.reason, submission.lane, capacity.retryAfterMs);

    let id = newJobId(submission.pool, submission.lane, now, random);
    let repeated = false;
    if (submission.idempotencyKey !== undefined) {
      const key = submission.idempotencyKey;
      const claim = await pool.claims.claim({ tenant, key, request: submission, id });
      if (claim.type === "conflict") {
        return refused(
          "idempotency-conflict",
          `This idempotency key was used for another request, job ${claim.id}. Use a new key for a new request`,
        );
      }
      repeated = claim.type === "repeated";
      id = claim.id;
    }
    const deadlineAt = now + delayMs + (submission.deadlineMs ?? pool.deadlineMs);
    const cacheMs = cacheOf(submission, pool);
    // The caller who bound the key may have died before it added the job: adding again repairs that, and does nothing
    // otherwise. A job that has ended must not run again, even if its lane forgot it.
    if (!repeated || (await pool.outcomes.get(id)) === undefined) {
      const job: JobData = {
        version: JOB_DATA_VERSION,
        id,
        tenant,
        pool: submission.pool,
        lane: submission.lane,
        kind: work.kind,
        payload: await encodePayload(work.request),
        acceptedAt: now,
        deadlineAt,
        maxAttempts: submission.maxAttempts ?? pool.maxAttempts,
        ...(cacheMs === undefined ? {} : { cacheMs }),
        ...(submission.promptClass === undefined ? {} : { promptClass: submission.promptClass }),
      };
      await pool.lane(submission.lane).add(job, delayMs);
    }
    emit("job:accepted", { id, tenant, pool: submission.pool, lane: submission.lane, repeated, bytes });
    return { type: "accepted", id, repeated, deadlineAt };
  };
}

/** The request as the model gets it. Schema defaults and shorthands end here. */
function toWork(submission: Submission, defaultMaxTokens: number): JobRequest {
  const { kind } = submission;
  if (kind === "invoke") {
    return { kind, request: { body: submission.body, maxTokens: submission.maxTokens } };
  }
  if (kind === "async") {
    return { kind, request: { modelInput: submission.modelInput, outputS3Uri: submission.outputS3Uri } };
  }
  const { prompt, messages, system, maxTokens, temperature, topP, stopSequences } = submission;
  return jobRequestSchema.parse({
    kind,
    request: {
      messages: messages ?? [{ role: "user", content: [{ text: prompt }] }],
      system,
      maxTokens: maxTokens ?? defaultMaxTokens,
      temperature,
      topP,
      stopSequences,
    },
  });
}

/** How long from now the job may start at the earliest. A time that has passed means now. */
function delayOf({ delayMs, runAt }: Submission, now: number): number {
  if (runAt !== undefined) return Math.max(0, Date.parse(runAt) - now);
  return delayMs ?? 0;
}

/** A job may decline the pool's cache, and may ask for one where the pool has none. */
function cacheOf({ cache }: Submission, pool: AcceptingPool): number | undefined {
  if (cache === false) return undefined;
  return pool.cacheMs ?? (cache === true ? DEFAULT_CACHE_MS : undefined);
}

function full(reason: "lane-length" | "redis-memory", lane: string, retryAfterMs: number): Refusal {
  const seconds = Math.ceil(retryAfterMs / 1_000);
  return reason === "lane-length"
    ? refused("lane-full", `Lane '${lane}' is full. Try again in ${seconds} s`, retryAfterMs)
    : refused("redis-full", `Redis is short of memory. Try again in ${seconds} s`, retryAfterMs);
}

function refused(code: RefusalCode, message: string, retryAfterMs?: number): Refusal {
  return { type: "refused", code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
