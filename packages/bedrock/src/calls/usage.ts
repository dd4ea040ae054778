/** Token counts as they were reported, whole or in part, and the usage that follows from them. Pure. */
import type { Usage } from "@sluice/job";
import { z } from "zod";

/** What was reported. */
export interface Counts {
  /** Without what was read from a cache or written to one. */
  readonly input?: number | undefined;
  readonly output?: number | undefined;
  readonly cacheRead?: number | undefined;
  readonly cacheWrite?: number | undefined;
  /** All of these together. */
  readonly total?: number | undefined;
}

/** What to take where nothing was reported. */
export interface UsageGuess {
  /** The whole input, cached or not. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A count of tokens, or nothing when something else stands there. */
export const count: z.ZodCatch<z.ZodOptional<z.ZodType<number>>> = z
  .number()
  .nonnegative()
  .transform((tokens) => Math.round(tokens))
  .optional()
  .catch(undefined);

/**
 * A report is believed up to so many times what follows from the request and the answer, and this much more: estimates
 * are off, and a model may think in secret. What is beyond is a fault of the report, and would stop the pool for days.
 */
const BELIEVED_TIMES = 10;
const BELIEVED_MORE = 200_000;

function believed(tokens: number | undefined, guess: number): number | undefined {
  return tokens === undefined || tokens > guess * BELIEVED_TIMES + BELIEVED_MORE ? undefined : tokens;
}

/**
 * The usage of an answer. An answer is paid for whatever its report lacks, so what is missing follows from the total,
 * or is guessed: `usageEstimated` says so.
 */
export function completeUsage(
  reported: Counts,
  guess: UsageGuess,
): { readonly usage: Usage; readonly usageEstimated: boolean } {
  const input = believed(reported.input, guess.inputTokens);
  const output = believed(reported.output, guess.outputTokens);
  const cacheRead = believed(reported.cacheRead, guess.inputTokens) ?? 0;
  const cacheWrite = believed(reported.cacheWrite, guess.inputTokens) ?? 0;
  const total = believed(reported.total, guess.inputTokens + guess.outputTokens);
  const cached = cacheRead + cacheWrite;
  const rest = (known: number | undefined): number | undefined =>
    total === undefined || known === undefined ? undefined : Math.max(0, total - known - cached);
  const inputTokens = input ?? rest(output);
  const outputTokens = output ?? rest(input);
  return {
    usage: {
      inputTokens: inputTokens ?? Math.max(0, guess.inputTokens - cached),
      outputTokens: outputTokens ?? guess.outputTokens,
      cacheReadTokens: cacheRead,
      cacheWriteTokens: cacheWrite,
    },
    usageEstimated: inputTokens === undefined || outputTokens === undefined,
  };
}
