/** InvokeModel: the model's own body, with options and counts in headers. */
import { InvokeModelCommand, type InvokeModelCommandInput } from "@aws-sdk/client-bedrock-runtime";
import type { Answer, Clock } from "@sluice/job";
import { answered, refusal } from "./answered.ts";
import { attempt, stopwatch } from "./attempt.ts";
import type { CallResult, InvokeCall } from "./caller.ts";
import { readReply } from "./invoke-reply.ts";
import type { Client } from "./sdk-client.ts";

/** One InvokeModel call. */
export async function invoke(client: Client, clock: Clock, call: InvokeCall): Promise<CallResult> {
  const { model, request } = call;
  const elapsed = stopwatch(clock);
  const ended = await attempt(client, clock, call, async (wire) => {
    const output = await wire.send(new InvokeModelCommand(toInvokeInput(call)));
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

/** What goes over the wire, streamed or not. The job's id appears in the account's invocation logs. */
export function toInvokeInput({ model, request, jobId, serviceTier }: InvokeCall): InvokeModelCommandInput {
  return {
    modelId: model,
    body: new TextEncoder().encode(JSON.stringify(request.body)),
    contentType: "application/json",
    accept: "application/json",
    requestMetadata: JSON.stringify({ jobId }),
    ...(serviceTier === undefined ? {} : { serviceTier }),
  };
}

function parseJson(text: string): { readonly value: NonNullable<Answer["body"]> | null } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
