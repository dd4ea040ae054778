/** Converse in Sluice's words: request in, answer out. */
import {
  ConverseCommand,
  type ConverseCommandInput,
  type ConverseCommandOutput,
  type TokenUsage,
} from "@aws-sdk/client-bedrock-runtime";
import { answerSchema, type Answer, type Clock, type Usage } from "@sluice/job";
import { answered, refusal } from "./answered.ts";
import { attempt, stopwatch } from "./attempt.ts";
import type { CallResult, ConverseCall } from "./caller.ts";
import type { Client } from "./sdk-client.ts";

/** One Converse call. */
export async function converse(client: Client, clock: Clock, call: ConverseCall): Promise<CallResult> {
  const elapsed = stopwatch(clock);
  const ended = await attempt(client, clock, call, async ({ send }) => {
    const command = new ConverseCommand(toCommandInput(call));
    const output = await send(command);
    return toAnswer(call.model, output, elapsed());
  });
  if (ended.type === "done") return answered(ended.value);
  return ended.type === "filtered" ? refusal(call.model, elapsed()) : ended;
}

/** What goes over the wire, streamed or not. The job's id appears in the account's invocation logs. */
export function toCommandInput({ model, request, jobId, serviceTier }: ConverseCall): ConverseCommandInput {
  const { maxTokens, temperature, topP, stopSequences } = request;
  return {
    modelId: model,
    ...toConversation(request),
    inferenceConfig: { maxTokens, temperature, topP, stopSequences },
    requestMetadata: { jobId },
    ...(serviceTier === undefined ? {} : { serviceTier: { type: serviceTier } }),
  };
}

/** The prompt alone. */
export function toConversation({
  messages,
  system,
}: ConverseCall["request"]): Pick<ConverseCommandInput, "messages" | "system"> {
  return { messages, ...(system === undefined ? {} : { system: [{ text: system }] }) };
}

/** The answer in a response; `undefined` when the response is not one. */
function toAnswer(
  model: string,
  { output, stopReason, usage }: ConverseCommandOutput,
  latencyMs: number,
): Answer | undefined {
  return answerSchema.safeParse({
    text: output?.message?.content?.map((block) => block.text ?? "").join(""),
    stopReason,
    model,
    usage: usage && toUsage(usage),
    latencyMs,
  }).data;
}

/** Usage under our names. What Bedrock leaves out stays out. */
export function toUsage(usage: Partial<TokenUsage>): { [Count in keyof Usage]: number | undefined } {
  return {
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cacheReadTokens: usage.cacheReadInputTokens,
    cacheWriteTokens: usage.cacheWriteInputTokens,
  };
}
