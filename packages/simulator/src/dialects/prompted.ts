/** Families that take a prompt and no conversation: Titan text, Llama, Mistral and Cohere Command. */
import { z } from "zod";
import type { Model } from "../models/model.ts";
import type { Generation } from "./reply.ts";
import { type BodyFormat, guardrail, type Invocation } from "./body-format.ts";
import { checkModelBody } from "./check.ts";

const limit = z.int().min(1).optional();
const sequences = z.array(z.string()).optional();

const titanSchema = z.looseObject({
  inputText: z.string().min(1),
  textGenerationConfig: z.looseObject({ maxTokenCount: limit, stopSequences: sequences }).optional(),
});
const llamaSchema = z.looseObject({ prompt: z.string().min(1), max_gen_len: limit });
const mistralSchema = z.looseObject({ prompt: z.string().min(1), max_tokens: limit, stop: sequences });
const cohereSchema = z.looseObject({
  prompt: z.string().min(1),
  max_tokens: limit,
  stop_sequences: sequences,
});

/** What the families call the reasons to stop: the natural end, the limit, the filter. */
const WORDS = {
  titan: { end: "FINISH", limit: "LENGTH", filter: "CONTENT_FILTERED" },
  plain: { end: "stop", limit: "length", filter: "content_filter" },
  cohere: { end: "COMPLETE", limit: "MAX_TOKENS", filter: "ERROR_TOXIC" },
} as const;

/** Bodies of Titan text. */
export const titanTextFormat: BodyFormat = {
  read: (body, model) => {
    const { inputText, textGenerationConfig: config } = checkModelBody(titanSchema, body);
    return {
      request: request(model, inputText, config?.maxTokenCount, config?.stopSequences),
      whole: (generation) => ({
        inputTextTokenCount: generation.usage.inputTokens,
        results: [
          {
            tokenCount: generation.usage.outputTokens,
            outputText: generation.text,
            completionReason: reason(generation, "titan"),
          },
        ],
        ...guardrail(generation),
      }),
      stream: {
        open: () => [],
        delta: (text) => [
          {
            index: 0,
            outputText: text,
            completionReason: null,
            inputTextTokenCount: null,
            totalOutputTextTokenCount: null,
          },
        ],
        close: (generation) => [
          {
            index: 0,
            outputText: "",
            completionReason: reason(generation, "titan"),
            inputTextTokenCount: generation.usage.inputTokens,
            totalOutputTextTokenCount: generation.usage.outputTokens,
            ...guardrail(generation),
          },
        ],
      },
    };
  },
};

/** Bodies of Llama, and of models that were imported with its architecture. */
export const llamaFormat: BodyFormat = {
  read: (body, model) => {
    const { prompt, max_gen_len: maxTokens } = checkModelBody(llamaSchema, body);
    return {
      request: request(model, prompt, maxTokens),
      whole: (generation) => llamaBody(generation.text, generation),
      stream: {
        open: () => [],
        delta: (text) => [
          { generation: text, prompt_token_count: null, generation_token_count: null, stop_reason: null },
        ],
        close: (generation) => [llamaBody("", generation)],
      },
    };
  },
};

/** Bodies of Mistral. They count nothing. */
export const mistralFormat: BodyFormat = {
  read: (body, model) => {
    const { prompt, max_tokens: maxTokens, stop } = checkModelBody(mistralSchema, body);
    return {
      request: request(model, prompt, maxTokens, stop),
      whole: (generation) => ({
        ...mistralBody(generation.text, reason(generation, "plain")),
        ...guardrail(generation),
      }),
      stream: {
        open: () => [],
        delta: (text) => [mistralBody(text, null)],
        close: (generation) => [
          { ...mistralBody("", reason(generation, "plain")), ...guardrail(generation) },
        ],
      },
    };
  },
};

/** Bodies of Cohere Command. They count nothing. */
export const cohereFormat: BodyFormat = {
  read: (body, model) => {
    const { prompt, max_tokens: maxTokens, stop_sequences: stop } = checkModelBody(cohereSchema, body);
    return {
      request: request(model, prompt, maxTokens, stop),
      whole: (generation) => ({
        generations: [{ id: "1", text: generation.text, finish_reason: reason(generation, "cohere") }],
        id: "1",
        prompt,
        ...guardrail(generation),
      }),
      stream: {
        open: () => [],
        delta: (text) => [{ text, is_finished: false }],
        close: (generation) => [
          { is_finished: true, finish_reason: reason(generation, "cohere"), ...guardrail(generation) },
        ],
      },
    };
  },
};

function llamaBody(text: string, generation: Generation): object {
  return {
    generation: text,
    prompt_token_count: generation.usage.inputTokens,
    generation_token_count: generation.usage.outputTokens,
    stop_reason: reason(generation, "plain"),
    ...guardrail(generation),
  };
}

function mistralBody(text: string, stop_reason: string | null): object {
  return { outputs: [{ text, stop_reason }] };
}

function request(
  model: Model,
  text: string,
  maxTokens: number = model.maxOutputTokens,
  stopSequences: readonly string[] = [],
): Invocation["request"] {
  return {
    parts: [{ kind: "text", text }],
    maxTokens: Math.min(maxTokens, model.maxOutputTokens),
    stopSequences,
    metadata: null,
  };
}

function reason({ stopReason }: Generation, family: keyof typeof WORDS): string {
  const words = WORDS[family];
  if (stopReason === "content_filtered") return words.filter;
  return stopReason === "max_tokens" ? words.limit : words.end;
}
