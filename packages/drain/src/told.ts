/** What callers get of an answer, and what its stream ends with. Pure. */
import type { Answer, Outcome } from "@sluice/job";
import type { ChunkWriter } from "./ports.ts";

/**
 * An answer that a content filter stopped, as its pool tells it: where the pool has words of its own, nothing that the
 * model wrote is left, here or at an address.
 * @param message what callers get instead. Default: what the model said.
 */
export function filteredAnswer(answer: Answer, message: string | undefined): Answer {
  if (message === undefined) return answer;
  const { body: _body, s3Uri: _s3Uri, ...rest } = answer;
  return { ...rest, text: message };
}

/**
 * The last event of a stream says how its job ended.
 * @param isStreamed whether the text of the outcome is the one that was streamed.
 */
export function streamEnd(ended: Outcome, isStreamed: boolean): Parameters<ChunkWriter["end"]>[0] {
  if (!("answer" in ended)) return "failed";
  return ended.outcome === "completed" && isStreamed ? "completed" : "incomplete";
}
