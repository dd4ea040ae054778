/** Input tokens of a prompt, split into fresh, read from the cache and written to it. */
import { countTokens } from "../answer/tokens.ts";
import type { Usage } from "../quota/cost.ts";
import { hashText } from "../random.ts";
import type { PromptPart } from "./model-request.ts";

/** A shorter prefix is not cached, whatever the request says. */
const SHORTEST_CACHED_PREFIX = 1_024;
const CACHE_LIFETIME_MS = 5 * 60_000;

/** Prefixes seen lately, by model: hash of the prefix → when it is forgotten, ms since the epoch. */
export type PrefixCache = Map<string, number>;

/** A prompt's tokens, and the prefix that a later call may find cached. */
export interface MeasuredInput {
  readonly usage: Omit<Usage, "outputTokens">;
  /** Key of the prefix in the cache; undefined when nothing of the prompt is cached. */
  readonly prefix: string | undefined;
}

/** Counts the prompt against what is cached now. `scope` is the Region and model the cache belongs to. */
export function measureInput(
  parts: readonly PromptPart[],
  cache: PrefixCache,
  scope: string,
  nowMs: number,
): MeasuredInput {
  const total = Math.max(1, tokensOf(parts));
  const lastPoint = parts.findLastIndex((part) => part.kind === "cache-point");
  const prefix = parts.slice(0, Math.max(0, lastPoint));
  const prefixTokens = tokensOf(prefix);
  if (prefixTokens < SHORTEST_CACHED_PREFIX) {
    return {
      usage: { inputTokens: total, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 },
      prefix: undefined,
    };
  }
  const key = `${scope}#${hashText(JSON.stringify(prefix))}`;
  const isKnown = (cache.get(key) ?? 0) > nowMs;
  return {
    usage: {
      inputTokens: total - prefixTokens,
      cacheReadInputTokens: isKnown ? prefixTokens : 0,
      cacheWriteInputTokens: isKnown ? 0 : prefixTokens,
    },
    prefix: key,
  };
}

/** An admitted call has read or written this prefix: it lives on from now. */
export function touchPrefix(cache: PrefixCache, key: string, nowMs: number): void {
  for (const [known, forgottenAtMs] of cache) {
    if (forgottenAtMs > nowMs) break; // Kept in the order of their end: the rest lives on.
    cache.delete(known);
  }
  cache.delete(key);
  cache.set(key, nowMs + CACHE_LIFETIME_MS);
}

/** All tokens of a prompt, cached or not. */
export function tokensOf(parts: readonly PromptPart[]): number {
  return parts.reduce((sum, part) => {
    if (part.kind === "cache-point") return sum;
    return sum + (part.kind === "text" ? countTokens(part.text) : part.tokens);
  }, 0);
}
