/** InvokeModelWithResponseStream: the model's own chunks, their text heard while it is written. */
import { InvokeModelWithResponseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { answered } from "./answered.ts";
import type { CallResult, InvokeCall } from "./caller.ts";
import { createChunks } from "./chunks.ts";
import { toInvokeInput } from "./invoke.ts";
import { listen } from "./listen.ts";
import type { Client } from "./sdk-client.ts";
import { estimateInputTokens } from "./size.ts";

/** One InvokeModelWithResponseStream call. Its answer has every chunk in `body`, and the text that was read from them. */
export async function invokeStream(client: Client, clock: Clock, call: InvokeCall): Promise<CallResult> {
  const { model, request } = call;
  const heard = createChunks();
  return listen(client, clock, call, {
    heard,
    open: async (send) => (await send(new InvokeModelWithResponseStreamCommand(toInvokeInput(call)))).body,
    answer: (stopReason, latencyMs) => {
      const { text, body, counts, outputTokens } = heard;
      const usage = {
        inputTokens: counts.input ?? estimateInputTokens(request),
        outputTokens: counts.output ?? outputTokens,
        cacheReadTokens: counts.cacheRead ?? 0,
        cacheWriteTokens: counts.cacheWrite ?? 0,
      };
      const isGuess = counts.input === undefined || counts.output === undefined;
      return answered({ text, body: [...body], stopReason, model, usage, latencyMs }, isGuess);
    },
  });
}
