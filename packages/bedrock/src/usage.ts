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

/** No answer comes near it: what is larger is no count. */
const MOST_TOKENS = 1e12;

/** A count of tokens, or nothing when something else stands there. */
export const count: z.ZodCatch<z.ZodOptional<z.ZodType<number>>> = z
  .number()
  .nonnegative()
  .max(MOST_TOKENS)
  .transform((tokens) => Math.round(tokens))
  .optional()
  .catch(undefined);

/**
 * The usage of an answer. An answer is paid for whatever its report lacks, so what is missing follows from the total,
 * or is guessed: `usageEstimated` says so.
 */
export function completeUsage(
  { input, output, cacheRead = 0, cacheWrite = 0, total }: Counts,
  guess: UsageGuess,
): { readonly usage: Usage; readonly usageEstimated: boolean } {
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
