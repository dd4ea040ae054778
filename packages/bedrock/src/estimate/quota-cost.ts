/** What a call takes from the quota by Bedrock's own rules: when it starts, and when it is over. Pure. */
import type { Usage } from "@sluice/job";

/** What one call takes of each quota that counts it. */
export interface QuotaCost {
  readonly requests: 1;
  readonly tokens: number;
  readonly "tokens-per-day": number;
}

/** The cost of a call of so many tokens: they count by the minute for its pool, and by the day for its scope. */
export function quotaCost(tokens: number): QuotaCost {
  return { requests: 1, tokens, "tokens-per-day": tokens };
}

/**
 * What a call cost in the end: input, cache writes, and output times the model's burndown. Cache reads are free.
 * May be more than was reserved.
 * @param burndown quota tokens per output token, as in the pools file.
 */
export function settled(usage: Usage, burndown: number): number {
  return Math.ceil(usage.inputTokens + usage.cacheWriteTokens + usage.outputTokens * burndown);
}
