/** How a call can fail, as data. Policy (retry, attempts, breaker) is a table over the kind. */
import { z } from "zod";

/**
 * `throttled`: the quota said no, waiting helps and the job is not to blame.
 * `transient`: likely to work when tried again; costs an attempt.
 * `terminal`: will fail the same way every time.
 * `systemic`: credentials or access; no job of the pool can succeed, and none is to blame.
 */
export const failureKindSchema = z.enum(["throttled", "transient", "terminal", "systemic"]);
export type FailureKind = z.infer<typeof failureKindSchema>;

/**
 * Which limit a throttle hit. `capacity` is the model being overloaded, not our quota; `unknown` when the
 * message names none.
 */
export const throttleDimensionSchema = z.enum([
  "requests",
  "tokens",
  "tokens-per-day",
  "capacity",
  "unknown",
]);
export type ThrottleDimension = z.infer<typeof throttleDimensionSchema>;

export const failureSchema = z.object({
  kind: failureKindSchema,
  /** The wire name of the exception, or Sluice's own reason such as `DeadlineExceeded`. Groups dead letters. */
  errorClass: z.string().regex(/^[A-Za-z0-9]{1,64}$/),
  /** Shortened, and free of prompt text: it is stored, shown and logged. */
  message: z.string().max(500),
  dimension: throttleDimensionSchema.optional(),
  /** HTTP status, when there was an answer. */
  status: z.int().optional(),
  requestId: z.string().optional(),
  /** The server's own hint. */
  retryAfterMs: z.number().nonnegative().optional(),
});
export type Failure = z.infer<typeof failureSchema>;

/** Reasons of Sluice's own for ending a job, beside what Bedrock answers. */
export const OWN_FAILURES = {
  /** The job's deadline passed before it could be answered. */
  deadline: "DeadlineExceeded",
  /** Its worker died under it more often than innocent crashes explain. */
  stalled: "StalledTooOften",
  /** The job's data cannot be read by this version. */
  malformed: "MalformedJob",
  /** It has started as many calls as it ever may, whatever became of them. */
  callCap: "CallCapReached",
  /** Bedrock took longer over an async call than it may. */
  asyncTimeout: "AsyncTimeout",
} as const;
