/** How a job ended, and what stays of it. The record is also the tombstone that keeps an id from running again. */
import { z } from "zod";
import { failureSchema } from "./failure.ts";

/** Tokens as Bedrock counts them for one call. */
export const usageSchema = z.object({
  inputTokens: z.int().nonnegative(),
  outputTokens: z.int().nonnegative(),
  cacheReadTokens: z.int().nonnegative().default(0),
  cacheWriteTokens: z.int().nonnegative().default(0),
});
export type Usage = z.infer<typeof usageSchema>;

/**
 * What the model said. `stopReason` is Bedrock's own word and an open set. An `invoke` answers with `body`, an `async`
 * call with `s3Uri`; their `text` is empty, but for that of an `invoke` that was streamed.
 */
export const answerSchema = z.object({
  text: z.string(),
  /** The model's own body, as JSON; of a stream, the list of its chunks. */
  body: z.json().optional(),
  /** Where the model wrote its answer. */
  s3Uri: z.string().optional(),
  stopReason: z.string(),
  /** The model or inference profile that answered. */
  model: z.string(),
  usage: usageSchema,
  /** The usage is a guess in part or in all: it was not reported. */
  usageEstimated: z.boolean().optional(),
  latencyMs: z.number().nonnegative(),
  /** The answer was given to an equal request before: no call was made, no quota used. */
  cached: z.boolean().optional(),
});
export type Answer = z.infer<typeof answerSchema>;

const ended = {
  id: z.string(),
  tenant: z.string(),
  /** Milliseconds since the epoch. */
  acceptedAt: z.int(),
  endedAt: z.int(),
  /** Tries that counted against the job, the last one included. */
  attempts: z.int().nonnegative(),
  /** What the call that was answered held of the quota, by name: settled by whoever finds that its process died first. */
  reservation: z.string().optional(),
};

export const outcomeSchema = z.discriminatedUnion("outcome", [
  z.object({ ...ended, outcome: z.literal("completed"), answer: answerSchema }),
  z.object({ ...ended, outcome: z.literal("filtered"), answer: answerSchema }),
  z.object({ ...ended, outcome: z.literal("cancelled") }),
  z.object({ ...ended, outcome: z.literal("dead"), failure: failureSchema }),
]);

/** The end of a job: `completed`, `filtered` (a content filter stopped it), `cancelled` or `dead`. */
export type Outcome = z.infer<typeof outcomeSchema>;

/** The end of a job that a model answered. */
export type AnsweredOutcome = Extract<Outcome, { answer: unknown }>;
