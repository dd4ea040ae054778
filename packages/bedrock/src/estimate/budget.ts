/** How long a call may take. A whole answer is silent for as long as the model writes it; a stream is not. Pure. */
import type { JobRequest } from "@sluice/job";
import { factsOf } from "@sluice/job/kinds";
import { LONGEST_CALL_MS, SLOW_TOKEN_MS } from "@sluice/job/time";

/**
 * The time of a call, from connecting to the last byte, milliseconds. Of a whole answer: the pool's `callTimeout`, and
 * what a slow model needs to write as much as the request lets it. Of a stream: as long as AWS lets an inference take,
 * since it is judged by its silence. The job's deadline ends a call before that.
 * @param callTimeoutMs the pool's `callTimeout`: everything but the writing.
 */
export function callBudgetMs(callTimeoutMs: number, work: JobRequest): number {
  const { isStreamed, sized } = factsOf(work);
  if (isStreamed) return LONGEST_CALL_MS;
  return Math.min(LONGEST_CALL_MS, callTimeoutMs + (sized?.maxTokens ?? 0) * SLOW_TOKEN_MS);
}
