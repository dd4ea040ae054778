/** Answers that lack something, whatever the family calls it. */
import type { AnswerPart } from "../faults/fault.ts";

const MEMBERS: Readonly<Record<AnswerPart, readonly string[]>> = {
  content: ["content", "generation", "message", "outputText", "text"],
  usage: [
    "amazon-bedrock-invocationMetrics",
    "generation_token_count",
    "inputTextTokenCount",
    "prompt_token_count",
    "tokenCount",
    "totalOutputTextTokenCount",
    "usage",
  ],
};

/** A body or an event without these parts. */
export function without<Body>(body: Body, parts: readonly AnswerPart[]): Body {
  if (parts.length === 0) return body;
  const names = new Set(parts.flatMap((part) => MEMBERS[part]));
  const text = JSON.stringify(body, (name, value: unknown) => (names.has(name) ? undefined : value));
  return JSON.parse(text);
}
