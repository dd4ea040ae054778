/** Answers, told apart by whether a content filter ended them. Pure. */
import type { Answer } from "@sluice/job";
import type { AnsweredCall } from "../bedrock-caller.ts";

/**
 * Stop reasons of a content filter, in the words of all families: Converse's, Claude's `refusal`, Titan's and SDXL's
 * `CONTENT_FILTERED`, OpenAI's `content_filter`, Cohere's `ERROR_TOXIC`, Stability's `Filter reason: prompt`. It is a
 * 200 with, at most, part of an answer.
 */
const FILTERED =
  /^(?:content[_ ]?filter(?:ed)?|guardrail_intervened|refusal|error_toxic|safety|filter reason\b.*)$/i;

/** The reason of an answer that gives none, as embeddings do. */
export const NO_STOP_REASON = "not_reported";

/** Whether a reason to stop is a content filter's. */
export function isFilter(stopReason: string): boolean {
  return FILTERED.test(stopReason);
}

/** An answer as the end of a call. */
export function answered(answer: Answer, usageEstimated = false): AnsweredCall {
  return {
    type: isFilter(answer.stopReason) ? "filtered" : "answered",
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
