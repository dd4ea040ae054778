/** What a pool refuses of a request, whoever brings it: a caller at the door, or an operator who has edited a dead letter. */
import { factsOf, type JobRequest } from "@sluice/job";
import { outputProblem } from "./output.ts";
import type { Cost } from "./ports.ts";

/** What a pool lets a request ask for. */
export interface RequestBounds {
  /** Most tokens that its model writes. */
  readonly maxOutputTokens: number;
  /** S3 prefixes into which an `async` job may have its answer written. Empty: none may. */
  readonly asyncOutputs: readonly string[];
  reserve(work: JobRequest): Cost;
  /** What is wrong with a cost that the quota can never admit; `undefined` when it fits. */
  tooCostly(cost: Cost): string | undefined;
}

/** Why a request is refused. The code is stable, the message is for people. */
export interface RequestRefusal {
  readonly code: "prompt-too-large" | "max-tokens-too-large" | "cost-exceeds-quota" | "output-not-allowed";
  readonly message: string;
}

/** Longest request, in bytes of its JSON, unless a door says otherwise. */
export const MAX_REQUEST_BYTES: number = 1024 * 1024;

/**
 * Why the pool refuses the request; `undefined` when it does not. Says nothing of what is in it.
 * @param asked `bytes`: of the request as JSON.
 * @param maxRequestBytes default `MAX_REQUEST_BYTES`.
 */
export function requestProblem(
  { work, bytes }: { readonly work: JobRequest; readonly bytes: number },
  pool: RequestBounds,
  maxRequestBytes: number = MAX_REQUEST_BYTES,
): RequestRefusal | undefined {
  if (bytes > maxRequestBytes) {
    const message = `The request is ${bytes} bytes, more than the ${maxRequestBytes} allowed. Shorten or split it`;
    return { code: "prompt-too-large", message };
  }
  const { sized, outputS3Uri } = factsOf(work);
  const maxTokens = sized?.maxTokens ?? 0;
  if (maxTokens > pool.maxOutputTokens) {
    const message =
      `Expected \`maxTokens\` to be at most ${pool.maxOutputTokens}, the most this pool's model writes, ` +
      `got ${maxTokens}`;
    return { code: "max-tokens-too-large", message };
  }
  const forbidden = outputS3Uri === undefined ? undefined : outputProblem(outputS3Uri, pool.asyncOutputs);
  if (forbidden !== undefined) return { code: "output-not-allowed", message: forbidden };
  const tooCostly = pool.tooCostly(pool.reserve(work));
  return tooCostly === undefined ? undefined : { code: "cost-exceeds-quota", message: tooCostly };
}
