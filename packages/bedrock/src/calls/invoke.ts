/** InvokeModel: the model's own body, with options and counts in headers. */
import { InvokeModelCommand, type InvokeModelCommandInput } from "@aws-sdk/client-bedrock-runtime";
import type { Answer, Clock } from "@sluice/job";
import { answered, refusal } from "./answered.ts";
import { makeCall, stopwatch } from "./call.ts";
import type { CallResult, InvokeCall } from "../bedrock-caller.ts";
import { readReply } from "./invoke-reply.ts";
import type { Client } from "../sdk/sdk-client.ts";
import { unmasked } from "../failures/unmask.ts";

/** One InvokeModel call. */
export async function invoke(client: Client, clock: Clock, call: InvokeCall): Promise<CallResult> {
  const { model, request } = call;
  const elapsed = stopwatch(clock);
  const ended = await makeCall(client, clock, call, async (inFlight) => {
    const output = await inFlight.send(unmasked(new InvokeModelCommand(toInvokeInput(call)), "native"));
    const headers = inFlight.head?.headers ?? {};
    // The type knows nothing of responses without a body.
    const body = readBody(output.body?.transformToString() ?? "", headers);
    if (body === undefined) return undefined;
    const { failure, usageEstimated, ...reply } = readReply(request, body.value, headers);
    if (failure !== undefined) throw modelFailed(failure);
    return answered({ text: "", body: body.value, model, latencyMs: elapsed(), ...reply }, usageEstimated);
  });
  if (ended.type === "done") return ended.value;
  return ended.type === "filtered" ? refusal(model, elapsed()) : ended;
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

/** JSON, or what says of itself that it is plain text; a page of HTML or half a body is neither. */
function readBody(
  body: string,
  { "content-type": type = "" }: Readonly<Record<string, string>>,
): { readonly value: NonNullable<Answer["body"]> | null } | undefined {
  try {
    return { value: JSON.parse(body) };
  } catch {
    return type.startsWith("text/plain") && body !== "" ? { value: body } : undefined;
  }
}

/** A body of a model's server that failed, as Bedrock names such a failure when it has noticed. */
function modelFailed(message: string): Error {
  return Object.assign(new Error(message), { name: "ModelErrorException" });
}
