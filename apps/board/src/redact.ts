/** What the board shows of a job's data: everything but the prompt. */
import { jobDataSchema } from "@sluice/job";

/** Replaces the request by its size. Data that is not ours is not shown at all: nobody knows what is in it. */
export function redactData(data: unknown): object {
  const parsed = jobDataSchema.safeParse(data);
  if (!parsed.success) return { hidden: "The data is not of a version this board can read" };
  const { payload, ...visible } = parsed.data;
  const stored = payload.encoding === "json" ? payload.json : payload.base64;
  return { ...visible, payload: { encoding: payload.encoding, storedCharacters: stored.length } };
}
