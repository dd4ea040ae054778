/** ConverseStream: the same answer as Converse, heard while it is written. */
import { ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { answered } from "./answered.ts";
import type { CallResult, StreamCall } from "../bedrock-caller.ts";
import { toCommandInput } from "./converse.ts";
import { listen } from "./listen.ts";
import type { Client } from "../sdk/sdk-client.ts";
import { estimateInputTokens } from "../estimate/size.ts";
import { createTranscript } from "./transcript.ts";
import { unmasked } from "../failures/unmask.ts";
import { completeUsage } from "./usage.ts";

/** One ConverseStream call. */
export async function stream(client: Client, clock: Clock, call: StreamCall): Promise<CallResult> {
  const { model, request } = call;
  const heard = createTranscript();
  return listen(client, clock, call, {
    heard,
    open: async (send) => {
      const command = new ConverseStreamCommand(toCommandInput(call));
      return (await send(unmasked(command, "stream"))).stream;
    },
    answer: (stopReason, latencyMs) => {
      const { text, counts, outputTokens } = heard;
      const guess = { inputTokens: estimateInputTokens(request), outputTokens };
      const { usage, usageEstimated } = completeUsage(counts, guess);
      return answered({ text, stopReason, model, usage, latencyMs }, usageEstimated);
    },
  });
}
