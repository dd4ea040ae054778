/** Converse in Sluice's words: request in, answer out. */
import { ConverseCommand, type ConverseCommandInput } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { z } from "zod";
import { answered, NO_STOP_REASON, refusal } from "./answered.ts";
import { makeCall, stopwatch } from "./call.ts";
import type { AnsweredCall, CallResult, ConverseCall } from "../bedrock-caller.ts";
import { list, part, stopWord, text, type Lenient } from "../lenient.ts";
import type { Client } from "../sdk/sdk-client.ts";
import { estimateInputTokens, textTokens } from "../estimate/size.ts";
import { unmasked } from "../failures/unmask.ts";
import { completeUsage, count, type Counts } from "./usage.ts";

/** One Converse call. */
export async function converse(client: Client, clock: Clock, call: ConverseCall): Promise<CallResult> {
  const elapsed = stopwatch(clock);
  const ended = await makeCall(client, clock, call, async ({ send }) => {
    const command = new ConverseCommand(toCommandInput(call));
    return toAnswer(call, await send(unmasked(command, "json")), elapsed());
  });
  if (ended.type === "done") return ended.value;
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

/** Usage as Converse and Nova report it, each count for itself: what is missing or odd spoils no other. */
export const converseUsage: Lenient<
  z.ZodObject<
    Record<
      "inputTokens" | "outputTokens" | "totalTokens" | "cacheReadInputTokens" | "cacheWriteInputTokens",
      typeof count
    >
  >
> = part({
  inputTokens: count,
  outputTokens: count,
  totalTokens: count,
  cacheReadInputTokens: count,
  cacheWriteInputTokens: count,
});

const outputSchema = z.object({
  output: part({
    message: part({
      content: list({
        text,
        reasoningContent: part({ reasoningText: part({ text }) }),
        toolUse: part({ input: z.unknown().optional() }),
      })
        .optional()
        .catch(undefined),
    }),
  }),
  stopReason: stopWord,
  usage: converseUsage,
});

/**
 * The answer in a response. A reason to stop is an answer, also of a filter that left nothing else, and so is content
 * without a reason: whatever is missing, the call is paid for. `undefined` when there is neither.
 */
function toAnswer(
  { model, request }: ConverseCall,
  response: unknown,
  latencyMs: number,
): AnsweredCall | undefined {
  const { output, stopReason, usage } = outputSchema.safeParse(response).data ?? {};
  const content = output?.message?.content;
  if (stopReason === undefined && content === undefined) return undefined;
  const said = (content ?? []).map((block) => block?.text ?? "").join("");
  const hidden = (content ?? []).map(
    (block) =>
      (block?.reasoningContent?.reasoningText?.text ?? "") + (JSON.stringify(block?.toolUse?.input) ?? ""),
  );
  const known = completeUsage(toCounts(usage), {
    inputTokens: estimateInputTokens(request),
    outputTokens: Math.ceil(textTokens(said + hidden.join(""))),
  });
  const answer = {
    text: said,
    stopReason: stopReason ?? NO_STOP_REASON,
    model,
    usage: known.usage,
    latencyMs,
  };
  return answered(answer, known.usageEstimated);
}

/** Converse's counts under our names. */
export function toCounts(usage: z.output<typeof converseUsage>): Counts {
  return {
    input: usage?.inputTokens,
    output: usage?.outputTokens,
    total: usage?.totalTokens,
    cacheRead: usage?.cacheReadInputTokens,
    cacheWrite: usage?.cacheWriteInputTokens,
  };
}
