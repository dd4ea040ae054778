/** How long an answer may get, before it is there: what admission keeps room for. Pure. */
import { factsOf, type JobRequest } from "@sluice/job";

/** UTF-8 bytes of a token: four is usual. */
const BYTES_PER_TOKEN = 4;

/** What stands around the text: usage, model, times. Of an async call it is all there is. */
const AROUND_BYTES = 1_024;

/** An embedding: a thousand numbers. */
const EMBEDDING_BYTES = 16_384;

/** Bytes in Redis of an answer as long as its limit allows. Streamed text is kept twice: as events, and as outcome. */
export function answerBytes(work: JobRequest): number {
  const { sized, isStreamed } = factsOf(work);
  if (sized === undefined) return AROUND_BYTES;
  const { maxTokens } = sized;
  if (maxTokens === 0) return AROUND_BYTES + EMBEDDING_BYTES;
  return AROUND_BYTES + maxTokens * BYTES_PER_TOKEN * (isStreamed ? 2 : 1);
}

/** What answers take that are of so many tokens on average: some are longer, and some are streamed. */
export function learnedAnswerBytes(meanTokens: number): number {
  return AROUND_BYTES + meanTokens * BYTES_PER_TOKEN * 2;
}
