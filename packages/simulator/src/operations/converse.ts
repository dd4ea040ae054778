/** Converse and ConverseStream: one body, one answer, whole or in events. */
import { type Frame, padded, parseJsonBody } from "@sluice/wire";
import {
  conversationEvents,
  type ConversationEvent,
  conversationUsage,
} from "../dialects/conversation-events.ts";
import { type ConverseBody, converseBodySchema, readConverse } from "../dialects/converse-request.ts";
import { without } from "../dialects/omit.ts";
import type { Generation, Read } from "../dialects/reply.ts";

/** Reads a Converse request. */
export function converse(body: Buffer): Read {
  return (model) => {
    const parsed = parseJsonBody(converseBodySchema, body);
    return {
      request: readConverse(parsed, model),
      reply: {
        kind: "whole",
        render: (generation) => ({ body: without(converseResponse(parsed, generation), generation.omit) }),
      },
    };
  };
}

/** Reads a ConverseStream request. */
export function converseStream(body: Buffer): Read {
  return (model) => {
    const parsed = parseJsonBody(converseBodySchema, body);
    return {
      request: readConverse(parsed, model),
      reply: {
        kind: "stream",
        open: () => conversationEvents.open().map(toFrame),
        delta: (text) => conversationEvents.delta(text).map(toFrame),
        close: (generation) =>
          conversationEvents
            .close(generation, echo(parsed))
            .map(({ name, payload }) => toFrame({ name, payload: without(payload, generation.omit) })),
      },
    };
  };
}

function converseResponse(body: ConverseBody, generation: Generation): unknown {
  return {
    output: { message: { role: "assistant", content: [{ text: generation.text }] } },
    stopReason: generation.stopReason,
    usage: conversationUsage(generation),
    metrics: { latencyMs: generation.latencyMs },
    ...echo(body),
  };
}

/** What the service repeats of the request. */
function echo({ performanceConfig, serviceTier }: ConverseBody): Record<string, unknown> {
  return {
    ...(performanceConfig && { performanceConfig: { latency: performanceConfig.latency } }),
    ...(serviceTier && { serviceTier: { type: serviceTier.type } }),
  };
}

function toFrame({ name, payload }: ConversationEvent): Frame {
  return { kind: "event", name, payload: padded(payload) };
}
