/**
 * Accepting a job: everything that can be refused is refused here, before anything is written, with a sentence that
 * says what is wrong and what to do. HTTP and direct producers go through the same door.
 */
import {
  JOB_DATA_VERSION,
  contentProblem,
  newJobId,
  requestOf,
  type Clock,
  type Emit,
  type JobData,
  type Outcome,
  type Payload,
  type Random,
  type Submission,
} from "@sluice/job";
import { answerBytes } from "./answer-size.ts";
import {
  MAX_REQUEST_BYTES,
  requestProblem,
  type RequestBounds,
  type RequestRefusal,
} from "./request-problem.ts";

/** Why a submission was not accepted. The code is stable, the message is for people. */
export interface Refusal {
  readonly type: "refused";
  readonly code: RefusalCode;
  readonly message: string;
  /** With `lane-full`, `redis-full` and `redis-unsafe`: when asking again makes sense. */
  readonly retryAfterMs?: number;
}

export type RefusalCode =
  | RequestRefusal["code"]
  | "unknown-pool"
  | "unknown-lane"
  | "unsafe-content"
  | "idempotency-conflict"
  | "too-far-ahead"
  | "lane-full"
  | "redis-full"
  | "redis-unsafe";

export type Acceptance =
  | {
      readonly type: "accepted";
      readonly id: string;
      readonly repeated: boolean;
      readonly deadlineAt: number;
    }
  | Refusal;

/** A pool as a producer sees it. */
export interface AcceptingPool extends RequestBounds {
  readonly lanes: readonly string[];
  readonly defaultMaxTokens: number;
  readonly deadlineMs: number;
  readonly maxAttempts: number;
  /** How long its answers serve equal requests, milliseconds; `null` when they do not. */
  readonly cacheMs: number | null;
  readonly claims: {
    /** What a key is bound to, without binding it. */
    find(key: IdempotencyKey): Promise<Claim | undefined>;
    /** Binds the key to the id, or tells what it is bound to: one atomic step. */
    claim(key: IdempotencyKey & { id: string }): Promise<Claim>;
  };
  readonly outcomes: { get(id: string): Promise<Outcome | undefined> };
  /** Whether the lane has room for one more job. */
  capacity(lane: string, job: JobRoom): Promise<LaneCapacity>;
  lane(name: string): AcceptingLane;
  /** Where started async calls wait for their next poll. */
  readonly polls: Pick<AcceptingLane, "has">;
}

export interface AcceptingLane {
  /** Adds the job under its id, to start `delayMs` from now at the earliest; adding it again is harmless. */
  add(job: JobData, delayMs: number): Promise<void>;
  /** Whether the lane knows the job. */
  has(id: string): Promise<boolean>;
}

/** A caller's key, and the request that it stands for. */
interface IdempotencyKey {
  readonly tenant: string;
  readonly key: string;
  readonly request: unknown;
  /** The request without the times that a caller reckons anew for each try: with the same key it is the same one. */
  readonly timeless: unknown;
}

interface Claim {
  readonly type: "new" | "repeated" | "conflict";
  readonly id: string;
}

/** What a job needs room for. */
export interface JobRoom {
  /** Its request, bytes. */
  readonly bytes: number;
  /** An answer as long as it may get, bytes. */
  readonly answerBytes: number;
}

export type LaneCapacity =
  /** The room is the job's. Call `written` when it is in its lane, or will not be. */
  | { readonly type: "free"; readonly written?: () => void }
  | { readonly type: "full"; readonly reason: FullReason; readonly retryAfterMs: number };

/** What there is no room for. */
export type FullReason = "lane-length" | "lane-bytes" | "redis-memory";

export interface AcceptOptions {
  readonly pools: ReadonlyMap<string, AcceptingPool>;
  readonly encodePayload: (request: unknown) => Promise<Payload>;
  /** Why a job that is accepted now could be lost; `undefined` while none would. Default: none would. */
  readonly unsafe?: () => string | undefined;
  /** Longest request, in bytes of its JSON. Default 1 MiB. */
  readonly maxRequestBytes?: number;
  readonly emit: Emit;
  readonly clock: Clock;
  /** What ids are made of. For tests only. Default: cryptographic randomness. */
  readonly idRandom?: Random;
}

/** How long an answer serves equal requests when a job asks for it and its pool does not say. */
const DEFAULT_CACHE_MS = 60 * 60 * 1000;

const LONGEST_DELAY_MS = 30 * 24 * 60 * 60 * 1000;

/** A Redis that loses what it holds is looked at again within seconds. */
const UNSAFE_RETRY_MS = 5_000;

/** Makes the door. The returned function rejects only when Redis does not answer. */
export function createAccept(
  options: AcceptOptions,
): (tenant: string, submission: Submission) => Promise<Acceptance> {
  const { pools, encodePayload, emit, clock, idRandom } = options;
  const maxRequestBytes = options.maxRequestBytes ?? MAX_REQUEST_BYTES;

  return async (tenant, submission) => {
    const lossy = options.unsafe?.();
    if (lossy !== undefined) return refused("redis-unsafe", lossy, UNSAFE_RETRY_MS);
    // Before it is looked at: what is nested too deeply would break whoever reads it.
    const unsafe = contentProblem(submission);
    if (unsafe !== undefined) return refused("unsafe-content", unsafe);
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

    const work = requestOf(submission, pool);
    const bytes = Buffer.byteLength(JSON.stringify(work.request));
    const problem = requestProblem({ work, bytes }, pool, maxRequestBytes);
    if (problem !== undefined) return { type: "refused", ...problem };

    const now = clock();
    const delayMs = delayOf(submission, now);
    if (delayMs > LONGEST_DELAY_MS) {
      return refused("too-far-ahead", "Expected `runAt` to be at most 30 days ahead. Send the job later");
    }

    const lane = pool.lane(submission.lane);
    const keyed = keyOf(tenant, submission);
    const bound = keyed && (await pool.claims.find(keyed));
    if (bound?.type === "conflict") return CONFLICT;
    const deadlineAt = now + delayMs + (submission.deadlineMs ?? pool.deadlineMs);
    const names = { tenant, pool: submission.pool, lane: submission.lane };
    // A job that is there is the first one, however full its lane is by now; one that has ended must not run again.
    if (bound !== undefined && (await isThere(pool, lane, bound.id))) {
      emit("job:accepted", { ...names, id: bound.id, repeated: true, bytes });
      return { type: "accepted", id: bound.id, repeated: true, deadlineAt };
    }

    const room = { bytes, answerBytes: answerBytes(work) };
    const capacity = await pool.capacity(submission.lane, room);
    if (capacity.type === "full") return full(capacity.reason, submission.lane, capacity.retryAfterMs);
    try {
      const newId = newJobId(submission.pool, submission.lane, now, idRandom);
      const claim = keyed && (await pool.claims.claim({ ...keyed, id: newId }));
      if (claim?.type === "conflict") return CONFLICT;
      // A caller who bound the key and died before adding the job left it to be added now, under its id.
      const id = claim?.id ?? newId;
      const repeated = claim?.type === "repeated";
      const cacheMs = cacheOf(submission, pool);
      const job: JobData = {
        version: JOB_DATA_VERSION,
        ...names,
        id,
        kind: work.kind,
        payload: await encodePayload(work.request),
        acceptedAt: now,
        deadlineAt,
        maxAttempts: submission.maxAttempts ?? pool.maxAttempts,
        ...(cacheMs === undefined ? {} : { cacheMs }),
        ...(submission.promptClass === undefined ? {} : { promptClass: submission.promptClass }),
      };
      await lane.add(job, delayMs);
      emit("job:accepted", { ...names, id, repeated, bytes });
      return { type: "accepted", id, repeated, deadlineAt };
    } finally {
      capacity.written?.();
    }
  };
}

function keyOf(tenant: string, submission: Submission): IdempotencyKey | undefined {
  const { idempotencyKey: key } = submission;
  if (key === undefined) return undefined;
  const { runAt: _runAt, delayMs: _delayMs, deadlineMs: _deadlineMs, ...timeless } = submission;
  return { tenant, key, request: submission, timeless };
}

/** Whether a job is in its lane, is worked on by Bedrock (its lane has forgotten it by then), or has ended. */
async function isThere(pool: AcceptingPool, lane: AcceptingLane, id: string): Promise<boolean> {
  return (await lane.has(id)) || (await pool.polls.has(id)) || (await pool.outcomes.get(id)) !== undefined;
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

/** It does not say whose job that is: a key that was guessed would lead to another's answer. */
const CONFLICT: Refusal = refused(
  "idempotency-conflict",
  "This idempotency key was used for another request. Use a new key for a new request",
);

function full(reason: FullReason, lane: string, retryAfterMs: number): Refusal {
  const again = `Try again in ${Math.ceil(retryAfterMs / 1_000)} s`;
  switch (reason) {
    case "lane-length":
      return refused("lane-full", `Lane '${lane}' holds as many jobs as it may. ${again}`, retryAfterMs);
    case "lane-bytes":
      return refused("lane-full", `Lane '${lane}' holds as many bytes as it may. ${again}`, retryAfterMs);
    case "redis-memory":
      return refused("redis-full", `Redis is short of memory. ${again}`, retryAfterMs);
  }
}

function refused(code: RefusalCode, message: string, retryAfterMs?: number): Refusal {
  return { type: "refused", code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
