/**
 * What a caller asks of a model, in Sluice's own words. A request says nothing about transport or quota; the
 * pool decides which model answers it.
 */
import { z } from "zod";

const textBlock = z.strictObject({ text: z.string().min(1, "Expected text, got an empty string") });

const message = z.strictObject({
  role: z.enum(["user", "assistant"]),
  content: z.array(textBlock).min(1, "Expected at least one text block"),
});

/** A conversation for the Converse operation. */
export const converseRequestSchema = z.strictObject({
  messages: z
    .array(message)
    .min(1, "Expected at least one message")
    .refine((messages) => messages[0]?.role === "user", "Expected the first message to have role 'user'"),
  system: z.string().min(1).optional(),
  /** Upper bound of the answer in tokens. Always sent: Bedrock reserves it, and the model's maximum without it. */
  maxTokens: z.int().positive(),
  temperature: z.number().min(0).max(1).optional(),
  topP: z.number().min(0).max(1).optional(),
  stopSequences: z.array(z.string().min(1)).max(4).optional(),
});

export type ConverseRequest = z.infer<typeof converseRequestSchema>;

/** Kinds of call a job can make. */
export const jobKindSchema = z.enum(["converse"]);
export type JobKind = z.infer<typeof jobKindSchema>;
