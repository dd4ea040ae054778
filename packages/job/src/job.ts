/** A job as it travels in Redis: who, where, by when, and the request, compressed when it is long. */
import { z } from "zod";
import { invocationSchema } from "./invocation.ts";
import { nameSchema, tenantSchema } from "./names.ts";
import { jobKindSchema } from "./request.ts";
import { NewerVersionError } from "./version.ts";

/**
 * The request as stored. `gzip` is base64 of the compressed JSON; short requests stay readable. Another encoding needs
 * another version of the job's data.
 */
export const payloadSchema = z.discriminatedUnion("encoding", [
  z.object({ encoding: z.literal("json"), json: z.string() }),
  z.object({ encoding: z.literal("gzip"), base64: z.base64() }),
]);
export type Payload = z.infer<typeof payloadSchema>;

/**
 * The version of `jobDataSchema`. It is raised when a worker must understand something new; a field that may be
 * overlooked is only added. A worker hands jobs of a newer version back (`docs/upgrading.md`).
 */
export const JOB_DATA_VERSION = 1;

/** What every version of job data has, in this form: enough to find, to cancel and to explain a job. */
const envelope = {
  id: z.string(),
  tenant: tenantSchema,
  pool: nameSchema,
  lane: nameSchema,
  /** Milliseconds since the epoch. */
  acceptedAt: z.int(),
  /** When the job is no longer worth answering, milliseconds since the epoch. */
  deadlineAt: z.int(),
};

const fields = {
  version: z.literal(JOB_DATA_VERSION),
  ...envelope,
  kind: jobKindSchema,
  payload: payloadSchema,
  /** How often the job may fail by its own fault before it is dead. */
  maxAttempts: z.int().positive(),
  /** How long the answer may serve equal requests of the tenant, milliseconds. Left out: not at all. */
  cacheMs: z.int().positive().optional(),
  /** Groups jobs in reports of reserved against used tokens. */
  promptClass: nameSchema.optional(),
  /** Of an `async` job that has been started at Bedrock: what to poll. */
  invocation: invocationSchema.optional(),
};

/**
 * The data of a BullMQ job. Fields that a later program has added to this version are kept as they are: the job may be
 * written again, as a poll or as a dead letter, and be read by that program then.
 */
export const jobDataSchema: z.ZodObject<typeof fields, z.core.$loose> = z.looseObject(fields);

const knownSchema = z.object(fields);
export type JobData = z.infer<typeof knownSchema>;

/** What can be said of a job whatever the version of its data. */
export interface JobEnvelope {
  readonly id: string;
  readonly tenant: string;
  readonly pool: string;
  readonly lane: string;
  readonly acceptedAt: number;
  readonly deadlineAt: number;
}

export type ReadJobData =
  | { readonly type: "known"; readonly data: JobData }
  /** For a program of a newer version. */
  | { readonly type: "newer"; readonly envelope: JobEnvelope; readonly version: number }
  /** Nothing that Sluice has written, or ever will. */
  | { readonly type: "malformed" };

const newerSchema = z.object({ ...envelope, version: z.int().min(JOB_DATA_VERSION + 1) });

/** Reads the data of a job, whoever wrote it. */
export function readJobData(stored: unknown): ReadJobData {
  const { data } = jobDataSchema.safeParse(stored);
  if (data !== undefined) return { type: "known", data };
  const newer = newerSchema.safeParse(stored).data;
  if (newer === undefined) return { type: "malformed" };
  const { version, ...rest } = newer;
  return { type: "newer", envelope: rest, version };
}

/** Of job data of whatever version; `undefined` when it is malformed. */
export function readJobEnvelope(stored: unknown): JobEnvelope | undefined {
  const read = readJobData(stored);
  return read.type === "known" ? read.data : read.type === "newer" ? read.envelope : undefined;
}

/**
 * Job data, or an error that says why not.
 * @throws NewerVersionError, or the schema's own error when it is malformed.
 */
export function parseJobData(stored: unknown): JobData {
  const read = readJobData(stored);
  if (read.type === "known") return read.data;
  if (read.type === "newer") throw new NewerVersionError(JOB_DATA, read.version, JOB_DATA_VERSION);
  return jobDataSchema.parse(stored);
}

/** How job data is called in a `NewerVersionError`. */
export const JOB_DATA = "data";
