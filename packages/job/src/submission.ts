/** What a producer hands in, over HTTP or directly: a request and where it should go. Defaults come from the pool. */
import { z } from "zod";
import { nameSchema } from "./names.ts";
import {
  asyncRequestSchema,
  converseRequestSchema,
  invokeRequestSchema,
  jobRequestSchema,
  type JobRequest,
} from "./request.ts";

const LONGEST_MS = 30 * 24 * 60 * 60 * 1000;

const delivery = {
  pool: nameSchema,
  lane: nameSchema,
  /** Not before this long from acceptance, milliseconds; at most 30 days. */
  delayMs: z.int().positive().max(LONGEST_MS).optional(),
  /** Not before this time, ISO 8601; at most 30 days ahead. Either this or `delayMs`. */
  runAt: z.iso.datetime({ offset: true }).optional(),
  /** From the time the job may start, milliseconds; at most 30 days. Default: the pool's `deadline`. */
  deadlineMs: z.int().positive().max(LONGEST_MS).optional(),
  /** Default: the pool's `maxAttempts`. */
  maxAttempts: z.int().min(1).max(20).optional(),
  /** Makes a repeated submission return the first job instead of a second one. */
  idempotencyKey: z.string().min(1).max(256).optional(),
  /** Whether the answer may come from, and serve, an equal request of the tenant. Default: as the pool says. */
  cache: z.boolean().optional(),
  /** Groups jobs in reports of reserved against used tokens. */
  promptClass: nameSchema.optional(),
};

const asked = converseRequestSchema.shape;

const conversation = {
  ...delivery,
  /** Shorthand for one user message. */
  prompt: z
    .string()
    .refine((text) => text.trim() !== "", "Expected a prompt, got empty text")
    .optional(),
  messages: asked.messages.optional(),
  system: asked.system,
  /** Default: the pool's `defaultMaxTokens`. A tight value is worth more than any scheduling. */
  maxTokens: asked.maxTokens.optional(),
  temperature: asked.temperature,
  topP: asked.topP,
  stopSequences: asked.stopSequences,
};

const byKind = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("converse"), ...conversation }),
  z.strictObject({ kind: z.literal("stream"), ...conversation }),
  z.strictObject({ kind: z.literal("invoke"), ...delivery, ...invokeRequestSchema.shape }),
  z.strictObject({ kind: z.literal("async"), ...delivery, ...asyncRequestSchema.shape }),
]);

/** `kind` may be left out: most jobs are `converse`. */
export const submissionSchema = z
  .preprocess(
    (input) =>
      typeof input === "object" && input !== null && !Array.isArray(input) && !("kind" in input)
        ? { kind: "converse", ...input }
        : input,
    byKind,
  )
  .refine(
    (job) =>
      (job.kind !== "converse" && job.kind !== "stream") ||
      (job.prompt === undefined) !== (job.messages === undefined),
    "Expected either `prompt` or `messages`",
  )
  .refine((job) => job.delayMs === undefined || job.runAt === undefined, {
    path: ["runAt"],
    message: "Expected either `runAt` or `delayMs`",
  });

/** A submission after parsing. */
export type Submission = z.output<typeof submissionSchema>;

/** A submission as a caller writes it. */
export type SubmissionInput =
  | ConversationInput
  | z.input<(typeof byKind)["options"][2]>
  | z.input<(typeof byKind)["options"][3]>;

/** A submission of a conversation as a caller writes it. */
export type ConversationInput = Omit<z.input<(typeof byKind)["options"][0]>, "kind"> & {
  kind?: "converse" | "stream";
};

/** The request as the model gets it. Shorthands end here, and what the pool adds is in it. */
export function requestOf(
  submission: Submission,
  { defaultMaxTokens }: { readonly defaultMaxTokens: number },
): JobRequest {
  const { kind } = submission;
  if (kind === "invoke") {
    const { body, maxTokens, stream } = submission;
    return { kind, request: { body, maxTokens, stream } };
  }
  if (kind === "async") {
    return { kind, request: { modelInput: submission.modelInput, outputS3Uri: submission.outputS3Uri } };
  }
  const { prompt, messages, system, maxTokens, temperature, topP, stopSequences } = submission;
  return jobRequestSchema.parse({
    kind,
    request: {
      messages: messages ?? [{ role: "user", content: [{ text: prompt }] }],
      system,
      maxTokens: maxTokens ?? defaultMaxTokens,
      temperature,
      topP,
      stopSequences,
    },
  });
}
