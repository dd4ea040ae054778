/** Chat completions as OpenAI writes them, and with it gpt-oss, DeepSeek, Jamba, Qwen and Writer. */
import { z } from "zod";
import { hashText } from "../random.ts";
import type { Generation } from "./reply.ts";
import { type BodyFormat, guardrail } from "./body-format.ts";
import { checkModelBody } from "./check.ts";

const bodySchema = z.looseObject({
  messages: z
    .array(
      z.looseObject({
        role: z.string(),
        content: z.union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))]),
      }),
    )
    .min(1),
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
});

const FINISH_REASONS: Readonly<Record<string, string>> = {
  max_tokens: "length",
  content_filtered: "content_filter",
};

/** Bodies of chat completions. */
export const openAiFormat: BodyFormat = {
  read: (body, model, modelId) => {
    const { messages, stop = [], ...limits } = checkModelBody(bodySchema, body);
    const maxTokens = limits.max_completion_tokens ?? limits.max_tokens ?? model.maxOutputTokens;
    const texts = messages.flatMap(({ content }) =>
      typeof content === "string" ? [content] : content.map(({ text = "" }) => text),
    );
    const id = `chatcmpl-${hashText(texts.join("\n")).toString(36)}`;
    const delta = (part: object, finish_reason: string | null = null): object => ({
      id,
      object: "chat.completion.chunk",
      model: modelId,
      choices: [{ index: 0, delta: part, finish_reason }],
    });
    return {
      request: {
        parts: texts.map((text) => ({ kind: "text", text })),
        maxTokens: Math.min(maxTokens, model.maxOutputTokens),
        stopSequences: [stop].flat(),
        metadata: null,
      },
      whole: (generation) => ({
        id,
        object: "chat.completion",
        model: modelId,
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: generation.text, refusal: null },
            finish_reason: finishReason(generation),
          },
        ],
        usage: usage(generation),
        ...guardrail(generation),
      }),
      stream: {
        open: () => [delta({ role: "assistant", content: "" })],
        delta: (text) => [delta({ content: text })],
        close: (generation) => [
          delta({}, finishReason(generation)),
          {
            id,
            object: "chat.completion.chunk",
            choices: [],
            usage: usage(generation),
            ...guardrail(generation),
          },
        ],
      },
    };
  },
};

function finishReason({ stopReason }: Generation): string {
  return FINISH_REASONS[stopReason] ?? "stop";
}

function usage({ usage: { inputTokens, outputTokens } }: Generation): Record<string, number> {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}
