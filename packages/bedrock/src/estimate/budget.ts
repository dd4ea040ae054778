/** How long a call may take. A whole answer is silent for as long as the model writes it; a stream is not. Pure. */
import type { JobRequest } from "@sluice/job";
import { LONGEST_CALL_MS, SLOW_TOKEN_MS } from "@sluice/job/time";
import { sizedPart } from "./quota-cost.ts";

/**
 * The time of a call, from connecting to the last byte, milliseconds. Of a whole answer: the pool's `callTimeout`, and
 * what a slow model needs to write as much as the request lets it. Of a stream: as long as AWS lets an inference take,
 * since it is judged by its silence. The job's deadline ends a call before that.
 * @param callTimeoutMs the pool's `callTimeout`: everything but the writing.
 */
export function callBudgetMs(callTimeoutMs: number, work: JobRequest): number {
  if (isStreamed(work)) return LONGEST_CALL_MS;
  return wholeAnswerMs(callTimeoutMs, sizedPart(work)?.maxTokens ?? 0);
}

/** Whether the answer comes in parts. */
export function isStreamed(work: JobRequest): boolean {
  return work.kind === "stream" || (work.kind === "invoke" && work.request.stream);
}

function wholeAnswerMs(callTimeoutMs: number, maxTokens: number): number {
  return Math.min(LONGEST_CALL_MS, callTimeoutMs + maxTokens * SLOW_TOKEN_MS);
}
