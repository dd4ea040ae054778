/** The Converse operation in Sluice's words: request in, answer out. Pure. */
import type { ConverseCommandInput, ConverseCommandOutput } from "@aws-sdk/client-bedrock-runtime";
import { answerSchema, type Answer, type ConverseRequest } from "@sluice/job";

/** Stop reasons of a content filter. It is a 200 with, at most, part of an answer. */
const FILTERED = new Set(["content_filtered", "guardrail_intervened", "refusal"]);

/** Whether a content filter ended the answer. */
export function isFiltered(stopReason: string): boolean {
  return FILTERED.has(stopReason);
}

/** What goes over the wire. The job's id appears in the account's invocation logs. */
export function toCommandInput(model: string, request: ConverseRequest, jobId: string): ConverseCommandInput {
  const { messages, system, maxTokens, temperature, topP, stopSequences } = request;
  return {
    modelId: model,
    messages,
    ...(system === undefined ? {} : { system: [{ text: system }] }),
    inferenceConfig: { maxTokens, temperature, topP, stopSequences },
    requestMetadata: { jobId },
  };
}

/** The answer in a response; `undefined` when the response is not one. */
export function toAnswer(
  model: string,
  { output, stopReason, usage }: ConverseCommandOutput,
  latencyMs: number,
): Answer | undefined {
  return answerSchema.safeParse({
    text: output?.message?.content?.map((block) => block.text ?? "").join(""),
    stopReason,
    model,
    usage: {
      inputTokens: usage?.inputTokens,
      outputTokens: usage?.outputTokens,
      cacheReadTokens: usage?.cacheReadInputTokens,
      cacheWriteTokens: usage?.cacheWriteInputTokens,
    },
    latencyMs,
  }).data;
}
