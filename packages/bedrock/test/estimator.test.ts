import type { ConverseRequest, SizedRequest } from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEstimator, estimateInputTokens, type Estimator } from "../src/estimate/index.ts";

function ask(text: string, maxTokens: number): ConverseRequest {
  return { messages: [{ role: "user", content: [{ text }] }], maxTokens };
}

function used(inputTokens: number, outputTokens: number, cacheReadTokens = 0) {
  return { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens: 0 };
}

const REQUEST = ask("word ".repeat(700), 1_000);

/** An estimator that has seen one usage so many times. */
function taught(
  times: number,
  usage: ReturnType<typeof used>,
  burndown = 5,
  request: SizedRequest = REQUEST,
): Estimator {
  const estimator = createEstimator({ burndown });
  for (let call = 0; call < times; call += 1) estimator.learn(request, usage);
  return estimator;
}

describe("input", () => {
  test("starts by family", () => {
    const size = (model: string): number =>
      createEstimator({ burndown: 1, model }).reserve(REQUEST).inputTokens;
    const plain = estimateInputTokens(REQUEST);
    expect(size("us.anthropic.claude-sonnet-4-6-v1:0")).toBe(plain);
    expect(size("somebody.new-v1:0")).toBe(plain);
    for (const model of ["us.anthropic.claude-opus-4-8-v1:0", "global.anthropic.claude-sonnet-5-v1:0"]) {
      expect(size(model)).toBeGreaterThan(plain * 1.2);
    }
    for (const model of ["us.amazon.nova-pro-v1:0", "meta.llama3-70b-instruct-v1:0"]) {
      expect(size(model)).toBeLessThan(plain);
    }
  });

  test.each([0.5, 0.875, 1.4, 3])(
    "within 5 %% after 30 calls, when the truth is %f of the guess",
    (factor) => {
      const truth = Math.round(estimateInputTokens(REQUEST) * factor);
      const { inputTokens } = taught(30, used(truth, 10)).reserve(REQUEST);
      expect(inputTokens / truth).toBeGreaterThan(0.95);
      expect(inputTokens / truth).toBeLessThan(1.05);
    },
  );

  test("follows a model that was changed", () => {
    const guess = estimateInputTokens(REQUEST);
    const estimator = taught(1_000, used(guess, 10));
    for (let call = 0; call < 60; call += 1) estimator.learn(REQUEST, used(guess * 2, 10));
    expect(estimator.reserve(REQUEST).inputTokens).toBeGreaterThan(guess * 1.9);
  });

  test("counts what came from the cache: admission does too", () => {
    const guess = estimateInputTokens(REQUEST);
    expect(taught(30, used(10, 10, guess - 10)).reserve(REQUEST).inputTokens).toBe(guess);
  });

  test("is not moved by a filter that spoke before the model", () => {
    const fresh = createEstimator({ burndown: 5 });
    expect(taught(30, used(0, 0)).reserve(REQUEST)).toEqual(fresh.reserve(REQUEST));
  });

  test("stays within a factor of four, whatever is reported", () => {
    const guess = estimateInputTokens(REQUEST);
    expect(taught(500, used(1e9, 1)).reserve(REQUEST).inputTokens).toBeLessThanOrEqual(guess * 4);
    expect(taught(500, used(1, 1)).reserve(REQUEST).inputTokens).toBeGreaterThanOrEqual(
      Math.floor(guess / 4),
    );
  });

  test("of a native body is its text, and so much for each image in it", () => {
    const text = { body: { messages: [{ role: "user", content: "word ".repeat(700) }] }, maxTokens: 1_000 };
    expect(estimateInputTokens(text)).toBeGreaterThan(estimateInputTokens(REQUEST));
    expect(estimateInputTokens(text)).toBeLessThan(estimateInputTokens(REQUEST) * 1.05);
    const image = { body: { source: { data: "iVBORw0KGgo".repeat(100_000) } }, maxTokens: 10 };
    expect(estimateInputTokens(image)).toBeGreaterThan(1_600);
    expect(estimateInputTokens(image)).toBeLessThan(1_620);
  });
});

describe("output", () => {
  const input = estimateInputTokens(REQUEST);

  test("short answers reserve what Bedrock does", () => {
    const estimator = taught(50, used(input, 50));
    expect(estimator.reserve(REQUEST)).toEqual({ inputTokens: input, tokens: input + 1_000 });
  });

  test("long answers reserve what they will cost at settlement", () => {
    const { tokens } = taught(50, used(input, 600)).reserve(REQUEST);
    expect(tokens).toBe(input + 3_000);
  });

  test("without burndown there is nothing to reserve beyond the limit", () => {
    expect(taught(50, used(input, 1_000), 1).reserve(REQUEST)).toEqual({
      inputTokens: input,
      tokens: input + 1_000,
    });
  });

  test("classes learn apart, and a new one starts with what all of them have shown", () => {
    const estimator = createEstimator({ burndown: 5 });
    for (let call = 0; call < 50; call += 1) {
      estimator.learn(REQUEST, used(input, 20), "label");
      estimator.learn(REQUEST, used(input, 900), "essay");
    }
    const tokensOf = (callClass: string): number => estimator.reserve(REQUEST, callClass).tokens - input;
    expect(tokensOf("label")).toBe(1_000);
    expect(tokensOf("essay")).toBe(4_500);
    expect(tokensOf("new")).toBeGreaterThan(2_000);
    expect(tokensOf("new")).toBeLessThan(2_700);
  });

  test("by default, requests of one limit are a class", () => {
    const estimator = createEstimator({ burndown: 10 });
    const brief = ask("word ".repeat(700), 50);
    for (let call = 0; call < 50; call += 1) {
      estimator.learn(REQUEST, used(input, 40));
      estimator.learn(brief, used(input, 40));
    }
    expect(estimator.reserve(REQUEST).tokens - input).toBe(1_000);
    expect(estimator.reserve(brief).tokens - input).toBe(400);
  });

  test("only so many classes are remembered, the last used ones", () => {
    const estimator = createEstimator({ burndown: 5 });
    const learn = (callClass: string): void => estimator.learn(REQUEST, used(input, 1_000), callClass);
    learn("first");
    learn("second");
    for (let other = 0; other < 998; other += 1) learn(`other ${other}`);
    learn("first");
    for (let call = 0; call < 200; call += 1) estimator.learn(REQUEST, used(input, 10), "one more");
    expect(estimator.reserve(REQUEST, "first").tokens - input).toBe(5_000);
    expect(estimator.reserve(REQUEST, "second").tokens - input).toBeLessThan(1_500);
  });

  test("embeddings have none", () => {
    const request = { body: { inputText: "word ".repeat(100) }, maxTokens: 0 };
    const { inputTokens, tokens } = taught(10, used(100, 0), 5, request).reserve(request);
    expect(tokens).toBe(inputTokens);
  });
});

describe("a call that was cut", () => {
  const input = estimateInputTokens(REQUEST);
  const estimator = taught(50, used(input, 200));

  test.each([
    [undefined, 200],
    [50, 200],
    [700, 700],
  ])("after %s tokens is charged %i", (observed, output) => {
    expect(estimator.unfinished(REQUEST, observed)).toBe(input + 5 * output);
  });
});

test("settles as Bedrock does", () => {
  expect(createEstimator({ burndown: 5 }).settled(used(26, 1_203))).toBe(6_041);
});

test("a reservation is a whole number, never below Bedrock's own sum of what we think the input is", () => {
  const usage = fc.record({
    inputTokens: fc.nat(100_000),
    outputTokens: fc.nat(100_000),
    cacheReadTokens: fc.nat(100_000),
    cacheWriteTokens: fc.nat(100_000),
  });
  const request = fc
    .tuple(fc.string({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 64_000 }))
    .map(([text, maxTokens]) => ask(text, maxTokens));
  const history = fc.array(fc.tuple(request, usage), { maxLength: 50 });
  const burndowns = fc.constantFrom(1, 1.5, 5, 10, 15);
  fc.assert(
    fc.property(history, request, burndowns, (calls, next, burndown) => {
      const estimator = createEstimator({ burndown });
      for (const [asked, told] of calls) estimator.learn(asked, told);
      const { inputTokens, tokens } = estimator.reserve(next);
      expect(Number.isInteger(tokens) && Number.isInteger(inputTokens)).toBe(true);
      expect(inputTokens).toBeGreaterThanOrEqual(1);
      expect(tokens).toBeGreaterThanOrEqual(inputTokens + next.maxTokens);
      expect(tokens).toBeLessThanOrEqual(inputTokens + Math.ceil(burndown * next.maxTokens));
      expect(estimator.unfinished(next)).toBeGreaterThanOrEqual(inputTokens);
    }),
  );
});

test.each([
  [{ burndown: 0 }, /`burndown` to be 1 or more, got 0/],
  [{ burndown: Number.NaN }, /`burndown`/],
  [{ burndown: 1, weight: 0 }, /`weight` to be above 0 and at most 1, got 0/],
  [{ burndown: 1, weight: 2 }, /`weight`/],
])("%j is refused", (options, message) => {
  expect(() => createEstimator(options)).toThrow(message);
});
