/** The events of a streamed conversation: ConverseStream frames them by name, Nova's own stream wraps them. */
import type { Generation } from "./reply.ts";

/** One event. */
export interface ConversationEvent {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Events in their order: open, one delta per piece of text, close. */
export const conversationEvents: {
  open(): ConversationEvent[];
  delta(text: string): ConversationEvent[];
  close(generation: Generation, extra: Readonly<Record<string, unknown>>): ConversationEvent[];
} = {
  open: () => [{ name: "messageStart", payload: { role: "assistant" } }],
  delta: (text) => [{ name: "contentBlockDelta", payload: { contentBlockIndex: 0, delta: { text } } }],
  close: (generation, extra) => [
    { name: "contentBlockStop", payload: { contentBlockIndex: 0 } },
    { name: "messageStop", payload: { stopReason: generation.stopReason } },
    {
      name: "metadata",
      payload: {
        usage: conversationUsage(generation),
        metrics: { latencyMs: generation.latencyMs },
        ...extra,
      },
    },
  ],
};

/** Usage as Converse and Nova report it. */
export function conversationUsage({ usage }: Generation): Record<string, number> {
  const { inputTokens, outputTokens, cacheReadInputTokens, cacheWriteInputTokens } = usage;
  const totalTokens = inputTokens + outputTokens + cacheReadInputTokens + cacheWriteInputTokens;
  return { inputTokens, outputTokens, totalTokens, cacheReadInputTokens, cacheWriteInputTokens };
}
