/** A streamed answer, whichever operation brings it: complete only if its end was heard, cut otherwise. */
import type { Clock } from "@sluice/job";
import { NO_STOP_REASON, refusal } from "./answered.ts";
import { makeCall, failed, stopwatch, type InFlight } from "./call.ts";
import type {
  AbortedCall,
  AnsweredCall,
  CallResult,
  FailedCall,
  InvokeCall,
  StreamCall,
} from "../bedrock-caller.ts";
import { endedEarly } from "../failures/classify.ts";
import type { Client } from "../sdk/sdk-client.ts";

/** What a stream has said so far. It is an answer once the model has given its reason to stop. */
export interface Heard {
  /** `undefined` while the answer goes on. */
  readonly stopReason: string | undefined;
  /** Nothing of it is known to have a last word: when it ends in good order, it is whole. */
  readonly isOpenEnded: boolean;
  /** About how many tokens the model has written, thoughts and tool input included. */
  readonly outputTokens: number;
  /** Adds an event. Returns the text in it, empty for most. */
  take(event: unknown): string;
}

export interface Listening {
  readonly heard: Heard;
  /** Sends the request. Resolves to its events. */
  readonly open: (send: InFlight["send"]) => Promise<AsyncIterable<unknown> | undefined>;
  /** What was heard, as the end of the call. */
  readonly answer: (stopReason: string, latencyMs: number) => AnsweredCall;
}

/** Makes one streamed call and hears it to its end. Never rejects. */
export async function listen(
  client: Client,
  clock: Clock,
  call: StreamCall | InvokeCall,
  { heard, open, answer }: Listening,
): Promise<CallResult> {
  const elapsed = stopwatch(clock);
  let inFlight: Pick<InFlight, "head"> = { head: undefined };
  let events = 0;
  const ended = await makeCall(client, clock, call, async (opened) => {
    inFlight = opened;
    for await (const event of (await open(opened.send)) ?? []) {
      // The result is out by then: nothing may follow it.
      if (opened.stop.aborted) break;
      opened.heard();
      const piece = heard.take(event);
      events += 1;
      if (piece !== "") tell(call, piece);
    }
    return true;
  });
  // After the reason to stop the answer is complete, so an error of the transport that comes later is ignored.
  if (heard.stopReason !== undefined) return answer(heard.stopReason, elapsed());
  switch (ended.type) {
    case "done":
      return heard.isOpenEnded
        ? answer(NO_STOP_REASON, elapsed())
        : cut(failed(endedEarly(), inFlight), heard);
    case "filtered":
      // A filter that spoke by exception, within the answer or before it.
      return heard.outputTokens > 0 ? answer("content_filtered", elapsed()) : refusal(call.model, elapsed());
    case "failed":
      // Before the model's first word it is a refusal, whatever the status. The first event only opens the message.
      return cut(events > 1 || heard.outputTokens > 0 ? { ...ended, charge: "estimate" } : ended, heard);
    case "aborted":
      return cut(ended, heard);
  }
}

function tell(call: StreamCall | InvokeCall, piece: string): void {
  try {
    call.onText?.(piece);
  } catch {
    // A message of its own: the listener's could have the text in it.
    throw new Error("Expected `onText` not to throw");
  }
}

/** The end of a stream that was cut, with what it had cost by then. */
function cut<Result extends FailedCall | AbortedCall>(result: Result, { outputTokens }: Heard): Result {
  return outputTokens === 0 ? result : { ...result, observedOutputTokens: outputTokens };
}
