/** Async invocations: started once per job, answered into S3, asked about until they are over. */
import { GetAsyncInvokeCommand, StartAsyncInvokeCommand } from "@aws-sdk/client-bedrock-runtime";
import { FAILURES, type Clock } from "@sluice/job";
import { z } from "zod";
import { answered, NO_USAGE, refusal } from "./answered.ts";
import { makeCall, failed, stopwatch, type InFlight } from "./call.ts";
import type { PollAsyncCall, PollResult, StartAsyncCall, StartResult } from "../bedrock-caller.ts";
import { invocationEnded } from "../failures/classify.ts";
import type { Client } from "../sdk/sdk-client.ts";
import { unmasked } from "../failures/unmask.ts";

const startedSchema = z.object({ invocationArn: z.string().min(1) });

/** Starts the invocation of a job, or finds the one it has started before. */
export async function startAsync(client: Client, clock: Clock, call: StartAsyncCall): Promise<StartResult> {
  const { model, request, jobId } = call;
  const elapsed = stopwatch(clock);
  const ended = await makeCall(client, clock, call, async ({ send }) => {
    const command = new StartAsyncInvokeCommand({
      modelId: model,
      modelInput: request.modelInput,
      outputDataConfig: { s3OutputDataConfig: { s3Uri: request.outputS3Uri } },
      clientRequestToken: jobId,
    });
    return startedSchema.safeParse(await send(unmasked(command, "json"))).data;
  });
  if (ended.type === "done") return { type: "started", invocationArn: ended.value.invocationArn };
  return ended.type === "filtered" ? refusal(model, elapsed()) : ended;
}

const time = z.date().optional().catch(undefined);

/** A status that is not documented is an end: there is nothing to wait for that we would know. */
const invocationSchema = z.object({
  status: z.string().min(1),
  modelArn: z.string().optional(),
  submitTime: time,
  endTime: time,
  failureMessage: z.string().optional().catch(undefined),
  outputDataConfig: z.object({ s3OutputDataConfig: z.object({ s3Uri: z.string() }) }).optional(),
});

type Invocation = z.output<typeof invocationSchema>;

/** Asks how far an invocation is. */
export async function pollAsync(client: Client, clock: Clock, call: PollAsyncCall): Promise<PollResult> {
  const ended = await makeCall(client, clock, call, async (inFlight) => {
    const command = new GetAsyncInvokeCommand({ invocationArn: call.invocationArn });
    const invocation = invocationSchema.safeParse(await inFlight.send(unmasked(command, "json"))).data;
    return invocation && readInvocation(invocation, inFlight);
  });
  if (ended.type === "done") return ended.value;
  if (ended.type === "filtered") return refusal(call.invocationArn, 0);
  // Refused for good: an unknown ARN is a ResourceNotFoundException or a ValidationException.
  if (ended.type === "failed" && (ended.rule === "notFound" || FAILURES[ended.rule].costs === "life")) {
    return { type: "stopped", failure: { ...ended.failure, kind: "terminal" } };
  }
  return ended;
}

/** `undefined` for an invocation that is said to be complete and names no place of its answer. */
function readInvocation(invocation: Invocation, call: InFlight): PollResult | undefined {
  const { status, failureMessage = "", outputDataConfig } = invocation;
  switch (status) {
    case "InProgress":
      return { type: "in-progress" };
    case "Completed": {
      const s3Uri = outputDataConfig?.s3OutputDataConfig.s3Uri;
      if (s3Uri === undefined) return undefined;
      return answered({
        text: "",
        s3Uri,
        stopReason: status,
        model: modelOf(invocation),
        usage: NO_USAGE,
        latencyMs: durationOf(invocation),
      });
    }
    default: {
      const verdict = invocationEnded(status, failureMessage);
      if (verdict.type === "failed") return { type: "stopped", failure: failed(verdict, call).failure };
      return refusal(modelOf(invocation), durationOf(invocation));
    }
  }
}

/** A foundation model's id; the ARN of anything else. */
function modelOf({ modelArn = "" }: Invocation): string {
  return modelArn.replace(/^arn:[^/]*:foundation-model\//, "");
}

/** How long Bedrock had it, by Bedrock's own times. */
function durationOf({ submitTime, endTime }: Invocation): number {
  return submitTime && endTime ? Math.max(0, endTime.getTime() - submitTime.getTime()) : 0;
}
