/** ConverseStream: the same answer as Converse, heard while it is written, and complete only if its end was heard. */
import { ConverseStreamCommand, type BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { answered, refusal } from "./answered.ts";
import { attempt, failed, stopwatch, type Wire } from "./attempt.ts";
import type { AbortedCall, AnsweredCall, CallResult, FailedCall, StreamCall } from "./caller.ts";
import { endedEarly } from "./classify.ts";
import { toCommandInput } from "./converse.ts";
import { estimateInputTokens } from "./size.ts";
import { createTranscript, type Transcript } from "./transcript.ts";

/** One ConverseStream call. */
export async function stream(
  client: BedrockRuntimeClient,
  clock: Clock,
  call: StreamCall,
): Promise<CallResult> {
  const elapsed = stopwatch(clock);
  const heard = createTranscript();
  let wire: Pick<Wire, "head"> = { head: undefined };
  const ended = await attempt(client, clock, call, async (opened) => {
    wire = opened;
    const response = await opened.send(new ConverseStreamCommand(toCommandInput(call)));
    for await (const event of response.stream ?? []) {
      // The result is out by then: nothing may follow it.
      if (opened.stop.aborted) break;
      const piece = heard.take(event);
      if (piece !== "") tell(call, piece);
    }
    return true;
  });
  // Before any failure: what breaks after the model's last word, breaks nothing.
  if (heard.stopReason !== undefined) return toAnswer(call, heard, heard.stopReason, elapsed());
  switch (ended.type) {
    case "done":
      return cut(failed(endedEarly(), wire), heard);
    case "filtered":
      // A filter that spoke by exception, within the answer or before it.
      return heard.outputTokens > 0
        ? toAnswer(call, heard, "content_filtered", elapsed())
        : refusal(call.model, elapsed());
    case "failed":
      // Bedrock answers 200 when it has admitted the call: whatever comes after that was no refusal.
      return cut(
        ended.billed === "request" && wire.head?.statusCode === 200
          ? { ...ended, billed: "estimate" }
          : ended,
        heard,
      );
    case "aborted":
      return cut(ended, heard);
  }
}

function tell(call: StreamCall, piece: string): void {
  try {
    call.onText(piece);
  } catch {
    // A message of its own: the listener's could have the text in it.
    throw new Error("Expected `onText` not to throw");
  }
}

function toAnswer(
  { model, request }: StreamCall,
  { text, usage, outputTokens }: Transcript,
  stopReason: string,
  latencyMs: number,
): AnsweredCall {
  const guess = {
    inputTokens: estimateInputTokens(request),
    outputTokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
  };
  return answered({ text, stopReason, model, usage: usage ?? guess, latencyMs }, usage === undefined);
}

/** The end of a stream that was cut, with what it had cost by then. */
function cut<Result extends FailedCall | AbortedCall>(result: Result, { outputTokens }: Transcript): Result {
  return outputTokens === 0 ? result : { ...result, observedOutputTokens: outputTokens };
}
