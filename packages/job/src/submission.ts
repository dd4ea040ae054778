/** What a producer hands in, over HTTP or directly: a request and where it should go. Defaults come from the pool. */
import { z } from "zod";
import { nameSchema } from "./names.ts";
import { converseRequestSchema } from "./request.ts";

const { messages, system, maxTokens, temperature, topP, stopSequences } = converseRequestSchema.shape;

const LONGEST_DEADLINE_MS = 30 * 24 * 60 * 60 * 1000;

export const submissionSchema = z
  .strictObject({
    pool: nameSchema,
    lane: nameSchema,
    kind: z.literal("converse").default("converse"),
    /** Shorthand for one user message. */
    prompt: z
      .string()
      .refine((text) => text.trim() !== "", "Expected a prompt, got empty text")
      .optional(),
    messages: messages.optional(),
    system,
    /** Default: the pool's `defaultMaxTokens`. A tight value is worth more than any scheduling. */
    maxTokens: maxTokens.optional(),
    temperature,
    topP,
    stopSequences,
    /** From acceptance, milliseconds. Default: the pool's `deadline`. */
    deadlineMs: z.int().positive().max(LONGEST_DEADLINE_MS).optional(),
    /** Default: the pool's `maxAttempts`. */
    maxAttempts: z.int().min(1).max(20).optional(),
    /** Makes a repeated submission return the first job instead of a second one. */
    idempotencyKey: z.string().min(1).max(256).optional(),
  })
  .refine(
    (submission) => (submission.prompt === undefined) !== (submission.messages === undefined),
    "Expected either `prompt` or `messages`",
  );

/** A submission as a caller writes it. */
export type SubmissionInput = z.input<typeof submissionSchema>;
/** A submission after parsing. */
export type Submission = z.output<typeof submissionSchema>;
