import { readFile } from "node:fs/promises";
import type { ConverseRequest } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { createEstimator, estimateInputTokens, settled } from "../src/estimate/index.ts";

function ask(text: string, system?: string): ConverseRequest {
  const request: ConverseRequest = { messages: [{ role: "user", content: [{ text }] }], maxTokens: 100 };
  return system === undefined ? request : { ...request, system };
}

const ENGLISH =
  "Sluice is a durable prompt queue. Any service enqueues prompts; workers drain them at exactly the rate that the " +
  "account's quota allows; critical traffic goes first; what cannot be answered lands in a dead letter store.";

describe("input tokens", () => {
  test.each([
    // Between four characters per token, the common rule of thumb, and a third more.
    ["English", ENGLISH, ENGLISH.length / 4, ENGLISH.length / 3],
    ["Russian", "Очередь запросов ".repeat(10), 170 / 2.5, 170 / 1.8],
    ["Chinese", "持久的提示队列".repeat(10), 70, 80],
    ["emoji", "🚰".repeat(10), 20, 30],
    ["next to nothing", "a", 1, 6],
  ])("%s", (_, text, low, high) => {
    const tokens = estimateInputTokens(ask(text));
    expect(tokens).toBeGreaterThanOrEqual(low);
    expect(tokens).toBeLessThanOrEqual(high);
    expect(Number.isInteger(tokens)).toBe(true);
  });

  test("every message and the system prompt count", () => {
    const turn = { role: "user" as const, content: [{ text: ENGLISH }, { text: ENGLISH }] };
    const once = estimateInputTokens(ask(ENGLISH));
    expect(estimateInputTokens(ask(ENGLISH, ENGLISH))).toBeGreaterThanOrEqual(2 * once - 2);
    expect(estimateInputTokens({ messages: [turn, turn] })).toBeGreaterThan(3.5 * once);
  });
});

test("before anything is learned a call takes the input and all the output that was asked for", () => {
  const inputTokens = estimateInputTokens(ask(ENGLISH));
  expect(createEstimator({ burndown: 1 }).reserve(ask(ENGLISH))).toEqual({
    inputTokens,
    tokens: inputTokens + 100,
  });
});

test.each([
  // Measured on a real account at 5x: the quota metric of four calls.
  [{ inputTokens: 26, outputTokens: 1203, cacheReadTokens: 0, cacheWriteTokens: 0 }, 5, 6041],
  [{ inputTokens: 13, outputTokens: 4, cacheReadTokens: 0, cacheWriteTokens: 8814 }, 5, 8847],
  [{ inputTokens: 13, outputTokens: 4, cacheReadTokens: 8814, cacheWriteTokens: 0 }, 5, 33],
  [{ inputTokens: 14, outputTokens: 4, cacheReadTokens: 0, cacheWriteTokens: 0 }, 5, 34],
  [{ inputTokens: 10, outputTokens: 3, cacheReadTokens: 0, cacheWriteTokens: 0 }, 1.5, 15],
])("%j at %fx costs %i", (usage, burndown, tokens) => {
  expect(settled(usage, burndown)).toBe(tokens);
});

test("loads nothing but itself: no SDK, no schemas", async () => {
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const source = await readFile(new URL(path, new URL("../src/estimate/", import.meta.url)), "utf8");
    const loaded = [...source.matchAll(/^(?:import|export) (?!type )[^;]*? from "([^"]+)";/gm)].map(
      ([, from]) => from,
    );
    for (const from of loaded) {
      expect(from).toMatch(/^\.\/|^@sluice\/job\/(?:time|kinds)$/);
      if (from?.startsWith("./")) await visit(from);
    }
  };
  await visit("./index.ts");
  expect([...seen].toSorted()).toEqual([
    "./budget.ts",
    "./estimator.ts",
    "./index.ts",
    "./quota-cost.ts",
    "./size.ts",
  ]);
});
