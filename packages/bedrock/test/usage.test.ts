import { expect, test } from "vitest";
import { completeUsage } from "../src/calls/usage.ts";

const guess = { inputTokens: 300, outputTokens: 60 };

test("what is reported is taken, also where a model thought long in secret", () => {
  const reported = { input: 900, output: 40_000, cacheRead: 50_000, cacheWrite: 0 };
  expect(completeUsage(reported, guess)).toEqual({
    usage: { inputTokens: 900, outputTokens: 40_000, cacheReadTokens: 50_000, cacheWriteTokens: 0 },
    usageEstimated: false,
  });
});

test.each([
  ["output", { input: 300, output: 4_294_967_295 }],
  ["input", { input: 2 ** 31, output: 60 }],
  ["a cache", { input: 300, output: undefined, cacheRead: 1e12 }],
  ["a total", { input: 300, total: 4_294_967_595 }],
])("a count of %s that cannot be is none: what it would stop is the whole pool", (_, reported) => {
  expect(completeUsage(reported, guess)).toEqual({
    usage: { inputTokens: 300, outputTokens: 60, cacheReadTokens: 0, cacheWriteTokens: 0 },
    usageEstimated: true,
  });
});
