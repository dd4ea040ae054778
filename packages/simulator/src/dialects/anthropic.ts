/** Anthropic Messages as Bedrock carries them. */
import { z } from "zod";
import { invalid } from "@sluice/wire";
import { countTokens, TOKENS_PER_IMAGE } from "../answer/tokens.ts";
import type { PromptPart } from "./model-request.ts";
import type { Generation } from "./reply.ts";
import type { Usage } from "../quota/cost.ts";
import { hashText } from "../random.ts";
import { type BodyFormat, guardrail } from "./body-format.ts";
import { checkModelBody } from "./check.ts";

const blockSchema = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  cache_control: z.looseObject({}).nullish(),
});

const contentSchema = z.union([z.string(), z.array(blockSchema)]);

const bodySchema = z.looseObject({
  anthropic_version: z.string(),
  max_tokens: z.int().min(1),
  messages: z.array(z.looseObject({ role: z.enum(["user", "assistant"]), content: contentSchema })).min(1),
  system: contentSchema.optional(),
  stop_sequences: z.array(z.string()).optional(),
  tools: z.array(z.unknown()).optional(),
});

type Content = z.infer<typeof contentSchema>;

/** Filters are a refusal here; a guardrail's block shows only in a flag of the body. */
const STOP_REASONS: Readonly<Record<string, string>> = {
  content_filtered: "refusal",
  guardrail_intervened: "end_turn",
};

/** Bodies of all Claude models. */
export const anthropicFormat: BodyFormat = {
  read: (body, model, modelId) => {
    const parsed = checkModelBody(bodySchema, body);
    if (parsed.max_tokens > model.maxOutputTokens) {
      throw invalid(
        `max_tokens: ${parsed.max_tokens} > ${model.maxOutputTokens}, which is the maximum allowed number of output tokens`,
      );
    }
    const blank = parsed.messages.findIndex(({ content }) => content.length === 0);
    if (blank !== -1) throw invalid(`messages.${blank}: all messages must have non-empty content`);
    const tools = parsed.tools ?? [];
    const parts: PromptPart[] = [
      ...(tools.length === 0 ? [] : [hidden(tools)]),
      ...partsOf(parsed.system ?? []),
      ...parsed.messages.flatMap(({ content }) => partsOf(content)),
    ];
    return {
      request: {
        parts,
        maxTokens: parsed.max_tokens,
        stopSequences: parsed.stop_sequences ?? [],
        metadata: null,
      },
      whole: (generation) => ({
        ...envelope(modelId, generation.text),
        content: [{ type: "text", text: generation.text }],
        ...ending(generation),
        usage: { ...inputUsage(generation.usage), output_tokens: generation.usage.outputTokens },
        ...guardrail(generation),
      }),
      stream: {
        open: (input) => [
          {
            type: "message_start",
            message: {
              ...envelope(modelId, JSON.stringify(parsed.messages)),
              content: [],
              stop_reason: null,
              stop_sequence: null,
              usage: { ...inputUsage(input), output_tokens: 1 },
            },
          },
          { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        ],
        delta: (text) => [{ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }],
        close: (generation) => [
          { type: "content_block_stop", index: 0 },
          {
            type: "message_delta",
            delta: ending(generation),
            usage: { output_tokens: generation.usage.outputTokens },
          },
          { type: "message_stop", ...guardrail(generation) },
        ],
      },
    };
  },
};

function partsOf(content: Content): PromptPart[] {
  if (typeof content === "string") return [{ kind: "text", text: content }];
  return content.flatMap((block): PromptPart[] => {
    const part: PromptPart =
      block.type === "text"
        ? { kind: "text", text: block.text ?? "" }
        : block.type === "image"
          ? { kind: "hidden", tokens: TOKENS_PER_IMAGE }
          : hidden(block);
    return block.cache_control ? [part, { kind: "cache-point" }] : [part];
  });
}

function hidden(value: unknown): PromptPart {
  return { kind: "hidden", tokens: countTokens(JSON.stringify(value)) };
}

function envelope(model: string, text: string): Record<string, unknown> {
  return { id: `msg_bdrk_${hashText(text).toString(36)}`, type: "message", role: "assistant", model };
}

function ending({ stopReason, stopSequence }: Generation): Record<string, unknown> {
  return { stop_reason: STOP_REASONS[stopReason] ?? stopReason, stop_sequence: stopSequence ?? null };
}

function inputUsage(usage: Omit<Usage, "outputTokens">): Record<string, number> {
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheWriteInputTokens,
    cache_read_input_tokens: usage.cacheReadInputTokens,
  };
}
