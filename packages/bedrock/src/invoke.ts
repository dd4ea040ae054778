/** InvokeModel: the model's own body, with options and counts in headers. */
import { InvokeModelCommand, type BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import type { Answer, Clock } from "@sluice/job";
import { answered, refusal } from "./answered.ts";
import { attempt, stopwatch } from "./attempt.ts";
import type { CallResult, InvokeCall } from "./caller.ts";
import { readReply } from "./invoke-reply.ts";

/** One InvokeModel call. */
export async function invoke(
  client: BedrockRuntimeClient,
  clock: Clock,
  call: InvokeCall,
): Promise<CallResult> {
  const { model, request, jobId, serviceTier } = call;
  const elapsed = stopwatch(clock);
  const ended = await attempt(client, clock, call, async (wire) => {
    const command = new InvokeModelCommand({
      modelId: model,
      body: new TextEncoder().encode(JSON.stringify(request.body)),
      contentType: "application/json",
      accept: "application/json",
      requestMetadata: JSON.stringify({ jobId }),
      ...(serviceTier === undefined ? {} : { serviceTier }),
    });
    const output = await wire.send(command);
    // The type knows nothing of responses without a body.
    const body = parseJson(output.body?.transformToString() ?? "");
    return body && { body: body.value, headers: wire.head?.headers ?? {} };
  });
  if (ended.type === "filtered") return refusal(model, elapsed());
  if (ended.type !== "done") return ended;
  const { body, headers } = ended.value;
  const { stopReason, usage, usageEstimated } = readReply(request, body, headers);
  return answered({ text: "", body, stopReason, model, usage, latencyMs: elapsed() }, usageEstimated);
}

function parseJson(text: string): { readonly value: NonNullable<Answer["body"]> | null } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
