/** InvokeModelWithResponseStream: the model's own chunks, their text heard while it is written. */
import { InvokeModelWithResponseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { answered } from "./answered.ts";
import type { CallResult, InvokeCall } from "../bedrock-caller.ts";
import { createChunks } from "./chunks.ts";
import { toInvokeInput } from "./invoke.ts";
import { listen } from "./listen.ts";
import type { Client } from "../sdk/sdk-client.ts";
import { estimateInputTokens } from "../estimate/size.ts";
import { unmasked } from "../failures/unmask.ts";
import { completeUsage } from "./usage.ts";

/** One InvokeModelWithResponseStream call. Its answer has every chunk in `body`, and the text that was read from them. */
export async function invokeStream(client: Client, clock: Clock, call: InvokeCall): Promise<CallResult> {
  const { model, request } = call;
  const heard = createChunks();
  return listen(client, clock, call, {
    heard,
    open: async (send) => {
      const command = new InvokeModelWithResponseStreamCommand(toInvokeInput(call));
      return (await send(unmasked(command, "stream"))).body;
    },
    answer: (stopReason, latencyMs) => {
      const { text, body, counts, outputTokens } = heard;
      const guess = { inputTokens: estimateInputTokens(request), outputTokens };
      const { usage, usageEstimated } = completeUsage(counts, guess);
      return answered({ text, body: [...body], stopReason, model, usage, latencyMs }, usageEstimated);
    },
  });
}
