/**
 * The built-in table. Quotas are default values seen in 2026 (accounts differ); latencies are round figures in
 * the range the models show. Burndown follows the published table: it changed three times within a year, so it
 * is data here and nowhere else.
 */
import type { Model, ModelEntry, ModelTable } from "./model.ts";

/** What an entry that says nothing gets. */
export const baseline: Model = {
  tokensPerMinute: 1_000_000,
  requestsPerMinute: null,
  burndown: 1,
  window: "bucket",
  capacitySeconds: 60,
  initialFill: 1,
  strangerShare: 0,
  maxOutputTokens: 8_192,
  contextTokens: 200_000,
  onDemand: true,
  kind: "text",
  latency: { timeToFirstTokenMs: 400, tokensPerSecond: 90, sigma: 0.25 },
  answer: { medianTokens: 300, sigma: 0.5 },
};

const claude = { maxOutputTokens: 64_000, latency: { timeToFirstTokenMs: 700, tokensPerSecond: 70 } };
const nova = { maxOutputTokens: 10_000, contextTokens: 300_000 };
const video: ModelEntry = { kind: "async", latency: { timeToFirstTokenMs: 30_000 } };
const embedding: ModelEntry = {
  kind: "embedding",
  contextTokens: 8_192,
  latency: { timeToFirstTokenMs: 60 },
};

/** Claude 4 and later answer to inference profiles only: the bare id is refused. */
function claudeGeneration(version: string, entry: ModelEntry): ModelTable {
  const names = ["fable", "haiku", "opus", "sonnet"].map((size) => `anthropic.claude-${size}-${version}*`);
  return Object.fromEntries(
    names.flatMap((name) => [
      [`*.${name}`, { ...claude, ...entry }],
      [name, { ...claude, ...entry, onDemand: false }],
    ]),
  );
}

/** Matches what a models file does not. An id that matches nothing here is an unknown model. */
export const builtInModels: ModelTable = {
  "*anthropic.claude*": { ...claude, burndown: 5, tokensPerMinute: 2_000_000 },
  ...claudeGeneration("4", { burndown: 5, tokensPerMinute: 5_000_000, requestsPerMinute: 10_000 }),
  ...claudeGeneration("4-7", { burndown: 5, tokensPerMinute: 15_000_000, requestsPerMinute: null }),
  ...claudeGeneration("4-8", { burndown: 15, tokensPerMinute: 15_000_000, requestsPerMinute: null }),
  ...claudeGeneration("5", { burndown: 10, tokensPerMinute: 6_000_000, requestsPerMinute: null }),
  "us.anthropic.claude-sonnet-4-6-v1:0": {
    ...claude,
    burndown: 5,
    tokensPerMinute: 6_000_000,
    requestsPerMinute: 10_000,
  },
  "global.anthropic.claude-sonnet-4-6-v1:0": {
    ...claude,
    burndown: 5,
    tokensPerMinute: 6_000_000,
    requestsPerMinute: 10_000,
  },
  "*amazon.nova*": nova,
  "amazon.nova-pro-v1:0": { ...nova, tokensPerMinute: 1_000_000, requestsPerMinute: 250 },
  "us.amazon.nova-pro-v1:0": { ...nova, tokensPerMinute: 2_000_000, requestsPerMinute: 500 },
  "*amazon.nova-reel*": video,
  "*amazon.titan-embed*": { ...embedding, tokensPerMinute: 300_000, requestsPerMinute: 2_000 },
  "*amazon.titan*": {},
  "*cohere.embed*": { ...embedding, tokensPerMinute: 300_000, requestsPerMinute: 2_000 },
  "*cohere.command*": {},
  "*ai21.*": {},
  "*deepseek.*": { maxOutputTokens: 32_000 },
  "*luma.*": video,
  "*meta.llama*": {},
  "*mistral.*": {},
  "*openai.*": { maxOutputTokens: 16_000 },
  "*qwen.*": { maxOutputTokens: 16_000 },
  "*twelvelabs.*": video,
  "*writer.*": {},
};
