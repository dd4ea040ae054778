import { expect, test } from "vitest";
import { measureInput, type PrefixCache, touchPrefix } from "../src/dialects/input-usage.ts";
import type { PromptPart } from "../src/dialects/model-request.ts";

const point: PromptPart = { kind: "cache-point" };
const text = (tokens: number): PromptPart => ({ kind: "text", text: "x".repeat(tokens * 4) });
const SCOPE = "us-east-1/model";

test("without a cache point, or with a short prefix, all input is fresh", () => {
  const fresh = { inputTokens: 1_500, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 };
  expect(measureInput([text(1_500)], new Map(), SCOPE, 0)).toEqual({ usage: fresh, prefix: undefined });
  expect(measureInput([text(1_000), point, text(500)], new Map(), SCOPE, 0)).toEqual({
    usage: fresh,
    prefix: undefined,
  });
});

test("a prefix is written until an admitted call has touched it, then read for five minutes from each use", () => {
  const cache: PrefixCache = new Map();
  const read = (atMs: number, scope = SCOPE): number =>
    measureInput([text(2_000), point, text(10)], cache, scope, atMs).usage.cacheReadInputTokens;
  const { prefix = "" } = measureInput([text(2_000), point, text(10)], cache, SCOPE, 0);
  expect(read(0)).toBe(0);
  touchPrefix(cache, prefix, 0);
  expect(read(299_999)).toBe(2_000);
  expect(read(300_000)).toBe(0);
  expect(read(0, "eu-west-1/model")).toBe(0);
  touchPrefix(cache, prefix, 200_000);
  expect(read(499_999)).toBe(2_000);
});

test("images and other hidden parts count, the cache point itself does not", () => {
  const parts: PromptPart[] = [{ kind: "hidden", tokens: 1_600 }, text(10), point];
  expect(measureInput(parts, new Map(), SCOPE, 0).usage).toEqual({
    inputTokens: 0,
    cacheReadInputTokens: 0,
    cacheWriteInputTokens: 1_610,
  });
});
