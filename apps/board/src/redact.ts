/** What the board shows of a job's data: everything but the prompt. */
import { JOB_DATA, JOB_DATA_VERSION, jobDataSchema, newerVersion, readJobData } from "@sluice/job";
import { z } from "zod";

/**
 * What may be shown of a job, by the names of the fields. A job that has ended has no payload any more, and one of a later
 * version has fields that this one does not know, so each field is taken by itself.
 */
const { payload: _, ...shownFields } = jobDataSchema.shape;
const shownSchema = z
  .object({ ...shownFields, invocation: z.object({ arn: z.string(), startedAt: z.int() }).optional() })
  .partial({ promptClass: true, cacheMs: true, invocation: true });

const payloadSchema = z.looseObject({
  encoding: z.string().max(20),
  json: z.string().optional(),
  base64: z.string().optional(),
});

/**
 * Replaces the request by its size. Data that is not ours is not shown at all: nobody knows what is in it.
 * @param storedBytes what the data takes in Redis.
 */
export function redactData(data: unknown, storedBytes: number): object {
  if (data === undefined) return { hidden: "The data is gone, too long, or cannot be read", storedBytes };
  const read = readJobData(data);
  if (read.type === "newer") {
    const hidden = newerVersion(JOB_DATA, read.version, JOB_DATA_VERSION);
    return { ...read.envelope, version: read.version, hidden, storedBytes };
  }
  const parsed = shownSchema.safeParse(data);
  if (!parsed.success) return { hidden: "The data is not of a version this board can read", storedBytes };
  const payload = payloadSchema.safeParse(
    z.looseObject({ payload: z.unknown().optional() }).parse(data).payload,
  ).data;
  const stored = payload?.json ?? payload?.base64 ?? "";
  if (payload === undefined || stored === "" || stored === "null") {
    return { ...parsed.data, payload: "gone: it is not kept once the job has ended" };
  }
  return { ...parsed.data, payload: { encoding: payload.encoding, storedCharacters: stored.length } };
}
