/** How a call has failed, as data that is stored and shown. What follows from it is in the table of `failures.ts`. */
import { z } from "zod";
import { NewerVersionError, versionOf } from "./version.ts";

/**
 * `throttled`: a quota or a lack of capacity said no; waiting helps.
 * `transient`: likely to work when tried again.
 * `terminal`: will fail the same way every time.
 * `systemic`: credentials or access.
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

/** The version of stored failures. As with job data: raised for what must be understood. */
const FAILURE_VERSION = 1;

/** What a version that knows more words says. */
const wordsSchema = z.object({ kind: z.string().min(1), dimension: z.string().optional() });
const WORDS: ReadonlySet<PropertyKey> = new Set(Object.keys(wordsSchema.shape));

/**
 * Reads the failure that is stored with a dead job; `undefined` for what is none. One of a newer version comes back as the
 * error that says so: it must not be told as another.
 */
export function readFailure(stored: unknown): Failure | NewerVersionError | undefined {
  const version = versionOf(stored);
  if (version > FAILURE_VERSION) return new NewerVersionError("failure", version, FAILURE_VERSION);
  const known = failureSchema.safeParse(stored);
  if (known.success) return known.data;
  const areWords = known.error.issues.every(({ path: [field = ""] }) => WORDS.has(field));
  if (!areWords || !wordsSchema.safeParse(stored).success) return undefined;
  return new NewerVersionError("failure", FAILURE_VERSION + 1, FAILURE_VERSION);
}
