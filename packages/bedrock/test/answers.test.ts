/** Answers of Converse that lack something: what was paid for is kept, what a filter stopped is filtered. */
import { describe, expect, test } from "vitest";
import { estimateInputTokens } from "../src/estimate/index.ts";
import type { CallResult } from "../src/index.ts";
import { ANSWER } from "./endpoint.ts";
import { serving } from "./serving.ts";

const REQUEST = {
  messages: [{ role: "user" as const, content: [{ text: "Tell me about locks" }] }],
  maxTokens: 20,
};
const INPUT = estimateInputTokens(REQUEST);

async function ask(body: object): Promise<CallResult> {
  const { bedrock, endpoint } = await serving((response) => {
    response.writeHead(200, { "content-type": "application/json", "x-amzn-requestid": "r-7" });
    response.end(JSON.stringify(body));
  });
  const { signal } = new AbortController();
  const call = { model: "m", request: REQUEST, jobId: "m.bulk.1", signal, timeoutMs: 5_000 };
  const result = await bedrock.converse(call);
  expect(endpoint.bodies).toHaveLength(1);
  return result;
}

function content(...blocks: readonly unknown[]): object {
  return { ...ANSWER, output: { message: { role: "assistant", content: blocks } } };
}

describe("a filter that leaves nothing else", () => {
  const empty = [
    ["an empty output", { output: {} }],
    ["no output", { output: undefined }],
    ["an empty message", { output: { message: {} } }],
    ["no content", { output: { message: { role: "assistant", content: [] } } }],
    ["content that is null", { output: { message: { role: "assistant", content: null } } }],
  ] as const;
  const cases = ["content_filtered", "guardrail_intervened", "refusal"].flatMap((stopReason) =>
    empty.map(([what, output]) => [stopReason, what, output] as const),
  );

  test.each(cases)("%s with %s", async (stopReason, _, output) => {
    expect(await ask({ ...ANSWER, ...output, stopReason })).toMatchObject({
      type: "filtered",
      answer: { text: "", stopReason, usage: { inputTokens: 7, outputTokens: 3 } },
    });
  });

  test("without usage either", async () => {
    expect(await ask({ output: {}, stopReason: "guardrail_intervened" })).toMatchObject({
      type: "filtered",
      answer: { usage: { inputTokens: INPUT, outputTokens: 0 } },
      usageEstimated: true,
    });
  });
});

describe("an answer", () => {
  test.each([
    ["nothing", [], ""],
    ["thoughts", [{ reasoningContent: { reasoningText: { text: "Hm" } } }], ""],
    ["a tool to be used", [{ toolUse: { toolUseId: "1", name: "n", input: { a: 1 } } }], ""],
    [
      "text among what nobody knows",
      [{ newKind: { a: 1 } }, null, { text: "Hello" }, "x", { text: 7 }],
      "Hello",
    ],
  ])("of %s", async (_, blocks, text) => {
    expect(await ask(content(...blocks))).toMatchObject({
      type: "answered",
      answer: { text, stopReason: "end_turn", usage: { outputTokens: 3 } },
    });
  });

  test.each([{ output: {} }, { output: undefined }])("that has ended with %o", async (output) => {
    expect(await ask({ ...ANSWER, ...output })).toMatchObject({
      type: "answered",
      answer: { text: "", stopReason: "end_turn" },
    });
  });

  test.each([undefined, null, 7])("whose reason to stop is %s", async (stopReason) => {
    expect(await ask({ ...ANSWER, stopReason })).toMatchObject({
      type: "answered",
      answer: { text: "Hello there", stopReason: "not_reported" },
    });
  });
});

describe("the usage of an answer", () => {
  const guess = { inputTokens: INPUT, outputTokens: 4, cacheReadTokens: 0, cacheWriteTokens: 0 };

  test.each([
    ["that is missing", undefined, guess],
    ["that is null", null, guess],
    ["that is a text", "many", guess],
    ["that is empty", {}, guess],
    ["with numbers that are none", { inputTokens: -1, outputTokens: "3", totalTokens: null }, guess],
    ["without input", { outputTokens: 3 }, { ...guess, outputTokens: 3 }],
    ["without output", { inputTokens: 7 }, { ...guess, inputTokens: 7 }],
    [
      "of a cache alone",
      { cacheReadInputTokens: 2 },
      { ...guess, inputTokens: INPUT - 2, cacheReadTokens: 2 },
    ],
    [
      "of a larger cache than the prompt",
      { cacheReadInputTokens: 500 },
      { ...guess, inputTokens: 0, cacheReadTokens: 500 },
    ],
  ])("%s is estimated, and said to be", async (_, usage, expected) => {
    const result = await ask({ ...ANSWER, usage });
    expect(result).toMatchObject({ type: "answered", answer: { text: "Hello there", usage: expected } });
    expect(result).toHaveProperty("usageEstimated", true);
  });

  test.each([
    ["in fractions", { inputTokens: 7.4, outputTokens: 2.6 }, { inputTokens: 7, outputTokens: 3 }],
    [
      "whose output follows from the total",
      { inputTokens: 7, totalTokens: 12, cacheReadInputTokens: 2 },
      { outputTokens: 3 },
    ],
    ["whose input follows from the total", { outputTokens: 3, totalTokens: 10 }, { inputTokens: 7 }],
  ])("%s is as reported", async (_, usage, expected) => {
    const result = await ask({ ...ANSWER, usage });
    expect(result).toMatchObject({ type: "answered", answer: { usage: expected } });
    expect(result).not.toHaveProperty("usageEstimated");
  });
});
