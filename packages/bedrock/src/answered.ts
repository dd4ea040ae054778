/** Answers, told apart by whether a content filter ended them. Pure. */
import type { Answer } from "@sluice/job";
import type { AnsweredCall } from "./caller.ts";

/** Stop reasons of a content filter. It is a 200 with, at most, part of an answer. */
const FILTERED = new Set(["content_filtered", "guardrail_intervened", "refusal"]);

/** An answer as the end of a call. */
export function answered(answer: Answer, usageEstimated = false): AnsweredCall {
  return {
    type: FILTERED.has(answer.stopReason) ? "filtered" : "answered",
    answer,
    ...(usageEstimated ? { usageEstimated } : {}),
  };
}

/** The answer of a filter that spoke by exception: the model said nothing, and Bedrock reports no usage. */
export function refusal(model: string, latencyMs: number): AnsweredCall {
  return answered({ text: "", stopReason: "content_filtered", model, usage: NO_USAGE, latencyMs });
}

/** Nothing used, or nothing reported. */
export const NO_USAGE: Answer["usage"] = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
};
