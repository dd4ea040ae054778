/**
 * What a caller asks of a model, in Sluice's own words, by kind of call. A request says nothing about transport or
 * quota; the pool decides which model answers it.
 */
import { z } from "zod";

/**
 * `converse`: one answer. `stream`: the same, readable while it is written. `invoke`: the model's own body, for what
 * Converse does not carry, embeddings among it. `async`: started at Bedrock, polled, answered into S3.
 */
export const jobKindSchema = z.enum(["converse", "stream", "invoke", "async"]);
export type JobKind = z.infer<typeof jobKindSchema>;

const textBlock = z.strictObject({ text: z.string().min(1, "Expected text, got an empty string") });

const message = z.strictObject({
  role: z.enum(["user", "assistant"]),
  content: z.array(textBlock).min(1, "Expected at least one text block"),
});

/** Upper bound of the answer in tokens. Always sent: Bedrock reserves it, and the model's maximum without it. */
const maxTokens = z.int().positive();

const jsonObject = z.record(z.string(), z.json());

/** A conversation for Converse and ConverseStream. */
export const converseRequestSchema = z.strictObject({
  messages: z
    .array(message)
    .min(1, "Expected at least one message")
    .refine((messages) => messages[0]?.role === "user", "Expected the first message to have role 'user'"),
  system: z.string().min(1).optional(),
  maxTokens,
  temperature: z.number().min(0).max(1).optional(),
  topP: z.number().min(0).max(1).optional(),
  stopSequences: z.array(z.string().min(1)).max(4).optional(),
});
export type ConverseRequest = z.infer<typeof converseRequestSchema>;

/** A body in the model's own format, for InvokeModel and InvokeModelWithResponseStream. */
export const invokeRequestSchema = z.strictObject({
  body: jsonObject,
  /** What the body lets the model write at most: the quota reserves it. 0 for embeddings. */
  maxTokens: z.int().nonnegative(),
  /** Whether the answer is readable while it is written. Not every model streams. */
  stream: z.boolean().default(false),
});
export type InvokeRequest = z.infer<typeof invokeRequestSchema>;

/** Input of a model that answers into S3, for StartAsyncInvoke. */
export const asyncRequestSchema = z.strictObject({
  modelInput: jsonObject,
  outputS3Uri: z
    .string()
    .regex(/^s3:\/\/[a-z0-9.-]{3,63}(\/.*)?$/, "Expected an S3 URI such as s3://bucket/prefix"),
});
export type AsyncRequest = z.infer<typeof asyncRequestSchema>;

/** A request with its kind. */
export const jobRequestSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("converse"), request: converseRequestSchema }),
  z.strictObject({ kind: z.literal("stream"), request: converseRequestSchema }),
  z.strictObject({ kind: z.literal("invoke"), request: invokeRequestSchema }),
  z.strictObject({ kind: z.literal("async"), request: asyncRequestSchema }),
]);
export type JobRequest = z.infer<typeof jobRequestSchema>;
