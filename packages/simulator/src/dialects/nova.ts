/** Nova's native bodies: close to Converse, with a few names of their own. */
import { z } from "zod";
import { invalid } from "@sluice/wire";
import { type ConversationEvent, conversationEvents, conversationUsage } from "./conversation-events.ts";
import { checkConversation, type Conversation, conversationSchema, promptParts } from "./converse-request.ts";
import type { BodyFormat } from "./body-format.ts";
import { checkModelBody } from "./check.ts";

const configSchema = z.looseObject({
  inferenceConfig: z
    .looseObject({
      maxTokens: z.int().min(1).optional(),
      max_new_tokens: z.int().min(1).optional(),
      stopSequences: z.array(z.string()).optional(),
    })
    .optional(),
});

/** The same events as in ConverseStream, each under its name; the frame around them pads. */
function wrap({ name, payload }: ConversationEvent): object {
  return { [name]: payload };
}

/** Bodies of the Nova text models. */
export const novaFormat: BodyFormat = {
  read: (body, model) => {
    const conversation: Conversation = checkModelBody(conversationSchema, body);
    checkConversation(conversation);
    const { inferenceConfig } = checkModelBody(configSchema, body);
    const maxTokens = inferenceConfig?.maxTokens ?? inferenceConfig?.max_new_tokens ?? model.maxOutputTokens;
    if (maxTokens > model.maxOutputTokens) {
      throw invalid(
        `Malformed input request: #/inferenceConfig/maxTokens: ${maxTokens} is not less or equal to ` +
          `${model.maxOutputTokens}, please reformat your input and try again.`,
      );
    }
    return {
      request: {
        parts: promptParts(conversation),
        maxTokens,
        stopSequences: inferenceConfig?.stopSequences ?? [],
        metadata: null,
      },
      whole: (generation) => ({
        output: { message: { role: "assistant", content: [{ text: generation.text }] } },
        stopReason: generation.stopReason,
        usage: conversationUsage(generation),
      }),
      stream: {
        open: () => conversationEvents.open().map(wrap),
        delta: (text) => conversationEvents.delta(text).map(wrap),
        close: (generation) => conversationEvents.close(generation, {}).map(wrap),
      },
    };
  },
};
