/** What a call costs: reserved by its worst case, settled by what it did. */

/** Token counts of one call. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens: number;
  readonly cacheWriteInputTokens: number;
}

/** What admission asks for. No burndown on `maxTokens`; cache reads count here and are free at settlement. */
export function reservedTokens(usage: Omit<Usage, "outputTokens">, maxTokens: number): number {
  return usage.inputTokens + usage.cacheReadInputTokens + usage.cacheWriteInputTokens + maxTokens;
}

/** What the quota is charged in the end. May exceed the reservation. */
export function settledTokens(usage: Usage, burndown: number): number {
  return usage.inputTokens + usage.cacheWriteInputTokens + usage.outputTokens * burndown;
}
