/** A job as it travels in Redis: who, where, by when, and the request, compressed when it is long. */
import { z } from "zod";
import { nameSchema, tenantSchema } from "./names.ts";
import { jobKindSchema } from "./request.ts";

/** The request as stored. `gzip` is base64 of the compressed JSON; short requests stay readable. */
export const payloadSchema = z.discriminatedUnion("encoding", [
  z.strictObject({ encoding: z.literal("json"), json: z.string() }),
  z.strictObject({ encoding: z.literal("gzip"), base64: z.base64() }),
]);
export type Payload = z.infer<typeof payloadSchema>;

/** The version of `jobDataSchema`. A worker that meets another one dead-letters the job instead of guessing. */
export const JOB_DATA_VERSION = 1;

/** The data of a BullMQ job. Read by every worker of the fleet, so it changes only with its version. */
export const jobDataSchema = z.strictObject({
  version: z.literal(JOB_DATA_VERSION),
  id: z.string(),
  tenant: tenantSchema,
  pool: nameSchema,
  lane: nameSchema,
  kind: jobKindSchema,
  payload: payloadSchema,
  /** Milliseconds since the epoch. */
  acceptedAt: z.int(),
  /** When the job is no longer worth answering, milliseconds since the epoch. */
  deadlineAt: z.int(),
  /** How often the job may fail by its own fault before it is dead. */
  maxAttempts: z.int().positive(),
  /** How long the answer may serve equal requests of the tenant, milliseconds. Left out: not at all. */
  cacheMs: z.int().positive().optional(),
  /** Groups jobs in reports of reserved against used tokens. */
  promptClass: nameSchema.optional(),
  /** Of an `async` job that has been started at Bedrock: what to poll. */
  invocation: z.strictObject({ arn: z.string(), startedAt: z.int() }).optional(),
});
export type JobData = z.infer<typeof jobDataSchema>;
