/**
 * Bodies of all families over the wire, whole and in chunks, in the shapes their documentation shows. Without Bedrock's
 * own count in headers or metrics, so that theirs has to be read.
 */
import { describe, expect, test } from "vitest";
import type { CallResult } from "../src/index.ts";
import { beginStream, event } from "./frames.ts";
import { serving } from "./serving.ts";

interface Family {
  /** Its body, with a reason to stop. */
  readonly whole?: (reason: string) => object;
  /** Its chunks. */
  readonly chunks?: (reason: string) => readonly object[];
  /** How it says that a filter has stopped it, and that nothing has. */
  readonly filtered: string;
  readonly stopped: string;
  /** Whether it counts its tokens. */
  readonly counts: boolean;
}

/** Long enough for an estimate by its length to be far off. */
const INPUT = 70;
const OUTPUT = 600;
const TOKENS = Array.from({ length: OUTPUT }, () => ({}));

const families: Readonly<Record<string, Family>> = {
  Claude: {
    whole: (stop_reason) => ({
      type: "message",
      content: [
        { type: "thinking", thinking: "Hm" },
        { type: "text", text: "Hello there" },
      ],
      stop_reason,
      usage: { input_tokens: INPUT, output_tokens: OUTPUT },
    }),
    chunks: (stop_reason) => [
      {
        type: "message_start",
        message: { content: [], stop_reason: null, usage: { input_tokens: INPUT, output_tokens: 1 } },
      },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: " there" } },
      {
        type: "message_delta",
        delta: { stop_reason, stop_sequence: null },
        usage: { output_tokens: OUTPUT },
      },
      { type: "message_stop" },
    ],
    filtered: "refusal",
    stopped: "end_turn",
    counts: true,
  },
  "Claude, completions": {
    whole: (stop_reason) => ({
      type: "completion",
      completion: "Hello there",
      stop_reason,
      stop: "\n\nHuman:",
    }),
    chunks: (stop_reason) => [
      { type: "completion", completion: "Hello", stop_reason: null, stop: null },
      { type: "completion", completion: " there", stop_reason, stop: "\n\nHuman:" },
    ],
    filtered: "refusal",
    stopped: "stop_sequence",
    counts: false,
  },
  Nova: {
    whole: (stopReason) => ({
      output: { message: { role: "assistant", content: [{ text: "Hello there" }] } },
      stopReason,
      usage: { inputTokens: INPUT, outputTokens: OUTPUT, totalTokens: INPUT + OUTPUT },
    }),
    chunks: (stopReason) => [
      { messageStart: { role: "assistant" } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Hello" } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: " there" } } },
      { contentBlockStop: { contentBlockIndex: 0 } },
      { messageStop: { stopReason } },
      { metadata: { usage: { inputTokens: INPUT, outputTokens: OUTPUT }, metrics: {} } },
    ],
    filtered: "content_filtered",
    stopped: "max_tokens",
    counts: true,
  },
  "gpt-oss, Qwen, Jamba, Writer": {
    whole: (finish_reason) => ({
      id: "chatcmpl-1",
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello there", reasoning_content: "Hm", refusal: null },
          logprobs: null,
          finish_reason,
          stop_reason: null,
        },
      ],
      usage: { prompt_tokens: INPUT, completion_tokens: OUTPUT, total_tokens: INPUT + OUTPUT },
    }),
    chunks: (finish_reason) => [
      {
        object: "chat.completion.chunk",
        choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
      },
      { choices: [{ index: 0, delta: { content: "Hello" }, finish_reason: null }] },
      { choices: [{ index: 0, delta: { content: " there" }, finish_reason: null }] },
      { choices: [{ index: 0, delta: {}, finish_reason }] },
      { choices: [], usage: { prompt_tokens: INPUT, completion_tokens: OUTPUT } },
    ],
    filtered: "content_filter",
    stopped: "length",
    counts: true,
  },
  "Mistral chat": {
    whole: (stop_reason) => ({
      choices: [
        { index: 0, message: { role: "assistant", content: "Hello there", tool_calls: [] }, stop_reason },
      ],
    }),
    chunks: (stop_reason) => [
      { choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, stop_reason: null }] },
      { choices: [{ index: 0, message: { role: "assistant", content: " there" }, stop_reason }] },
    ],
    filtered: "content_filter",
    stopped: "stop",
    counts: false,
  },
  DeepSeek: {
    whole: (stop_reason) => ({ choices: [{ text: "Hello there", stop_reason }] }),
    chunks: (stop_reason) => [
      { choices: [{ text: "Hello", stop_reason: null }] },
      { choices: [{ text: " there", stop_reason }] },
    ],
    filtered: "content_filter",
    stopped: "length",
    counts: false,
  },
  "Titan text": {
    whole: (completionReason) => ({
      inputTextTokenCount: INPUT,
      results: [{ tokenCount: OUTPUT, outputText: "Hello there", completionReason }],
    }),
    chunks: (completionReason) => [
      {
        index: 0,
        inputTextTokenCount: INPUT,
        outputText: "Hello",
        totalOutputTextTokenCount: null,
        completionReason: null,
      },
      {
        index: 0,
        inputTextTokenCount: null,
        outputText: " there",
        totalOutputTextTokenCount: OUTPUT,
        completionReason,
      },
    ],
    filtered: "CONTENT_FILTERED",
    stopped: "FINISH",
    counts: true,
  },
  "Llama, imported models": {
    whole: (stop_reason) => ({
      generation: "Hello there",
      prompt_token_count: INPUT,
      generation_token_count: OUTPUT,
      stop_reason,
    }),
    chunks: (stop_reason) => [
      { generation: "Hello", prompt_token_count: INPUT, generation_token_count: 1, stop_reason: null },
      { generation: " there", prompt_token_count: null, generation_token_count: OUTPUT, stop_reason },
    ],
    filtered: "content_filter",
    stopped: "length",
    counts: true,
  },
  Mistral: {
    whole: (stop_reason) => ({ outputs: [{ text: "Hello there", stop_reason }] }),
    chunks: (stop_reason) => [
      { outputs: [{ text: "Hello", stop_reason: null }] },
      { outputs: [{ text: " there", stop_reason }] },
    ],
    filtered: "content_filter",
    stopped: "stop",
    counts: false,
  },
  "Cohere Command": {
    whole: (finish_reason) => ({
      generations: [{ id: "1", text: "Hello there", finish_reason }],
      id: "2",
      prompt: "Too many requests",
      meta: { billed_units: { input_tokens: INPUT, output_tokens: OUTPUT } },
    }),
    filtered: "ERROR_TOXIC",
    stopped: "MAX_TOKENS",
    counts: true,
  },
  "Cohere Command R": {
    whole: (finish_reason) => ({
      response_id: "1",
      text: "Hello there",
      chat_history: [{ role: "USER", message: "Too many requests" }],
      finish_reason,
    }),
    chunks: (finish_reason) => [
      { is_finished: false, event_type: "text-generation", text: "Hello" },
      { is_finished: false, event_type: "text-generation", text: " there" },
      {
        is_finished: true,
        event_type: "stream-end",
        finish_reason,
        response: { text: "Hello there", finish_reason },
      },
    ],
    filtered: "ERROR_TOXIC",
    stopped: "COMPLETE",
    counts: false,
  },
  "Cohere, v2": {
    whole: (finish_reason) => ({
      id: "1",
      message: { role: "assistant", content: [{ type: "text", text: "Hello there" }] },
      finish_reason,
      usage: { input_tokens: INPUT, output_tokens: OUTPUT },
    }),
    filtered: "ERROR_TOXIC",
    stopped: "COMPLETE",
    counts: true,
  },
  "AI21 Jurassic": {
    whole: (reason) => ({
      id: 1,
      prompt: { text: "Hi", tokens: TOKENS.slice(0, INPUT) },
      completions: [{ data: { text: "Hello there", tokens: TOKENS }, finishReason: { reason } }],
    }),
    filtered: "content_filter",
    stopped: "endoftext",
    counts: true,
  },
  "TwelveLabs Pegasus": {
    whole: (finishReason) => ({ message: "Hello there", finishReason }),
    filtered: "content_filter",
    stopped: "stop",
    counts: false,
  },
};

function request(stream: boolean) {
  return { body: { prompt: "Hi" }, maxTokens: 1_000, stream };
}

async function invoke(body: unknown, maxTokens = 1_000): Promise<CallResult> {
  const { bedrock, endpoint } = await serving((response) => {
    response.writeHead(200, { "content-type": "application/json", "x-amzn-requestid": "r-7" });
    response.end(JSON.stringify(body));
  });
  const { signal } = new AbortController();
  const call = {
    model: "m",
    request: { ...request(false), maxTokens },
    jobId: "m.bulk.1",
    signal,
    timeoutMs: 5_000,
  };
  const result = await bedrock.invoke(call);
  expect(endpoint.bodies).toHaveLength(1);
  return result;
}

async function hear(
  ...chunks: readonly unknown[]
): Promise<CallResult & { readonly texts: readonly string[] }> {
  const frames = chunks.map((chunk) =>
    event("chunk", { bytes: Buffer.from(JSON.stringify(chunk)).toString("base64") }),
  );
  const { bedrock } = await serving((response) => {
    beginStream(response, ...frames);
    response.end();
  });
  const texts: string[] = [];
  const onText = (text: string): number => texts.push(text);
  const { signal } = new AbortController();
  const call = { model: "m", request: request(true), jobId: "m.bulk.1", signal, timeoutMs: 5_000, onText };
  return { ...(await bedrock.invoke(call)), texts };
}

/** Its own count, or a guess that is said to be one. */
function expectUsage(result: CallResult, { counts }: Pick<Family, "counts">): void {
  const expected = counts ? { inputTokens: INPUT, outputTokens: OUTPUT } : {};
  expect(result).toMatchObject({ answer: { usage: expected } });
  expect("usageEstimated" in result).toBe(!counts);
}

const inOnePiece = Object.entries(families).flatMap(([name, { whole, ...family }]) =>
  whole === undefined ? [] : [{ name, whole, ...family }],
);
const inChunks = Object.entries(families).flatMap(([name, { chunks, ...family }]) =>
  chunks === undefined ? [] : [{ name, chunks, ...family }],
);

describe.each(inOnePiece)("$name, whole", ({ whole, filtered, stopped, ...family }) => {
  test("ends for its own reason, at its own count", async () => {
    const body = whole(stopped);
    const result = await invoke(body);
    expect(result).toMatchObject({ type: "answered", answer: { text: "", body, stopReason: stopped } });
    expectUsage(result, family);
  });

  test("is filtered", async () => {
    const result = await invoke(whole(filtered));
    expect(result).toMatchObject({ type: "filtered", answer: { stopReason: filtered } });
    expectUsage(result, family);
  });
});

describe.each(inChunks)("$name, in chunks", ({ chunks, filtered, stopped, ...family }) => {
  test("ends for its own reason, at its own count, without metrics", async () => {
    const body = chunks(stopped);
    const result = await hear(...body);
    expect(result).toMatchObject({
      type: "answered",
      answer: { text: "Hello there", body, stopReason: stopped },
    });
    expect(result.texts.join("")).toBe("Hello there");
    expectUsage(result, family);
  });

  test("is filtered", async () => {
    const result = await hear(...chunks(filtered));
    expect(result).toMatchObject({
      type: "filtered",
      answer: { stopReason: filtered, text: "Hello there" },
    });
    expectUsage(result, family);
  });

  test("is broken without its end, however well it ended", async () => {
    const end = chunks(stopped).findIndex((chunk) => JSON.stringify(chunk).includes(stopped));
    expect(await hear(...chunks(stopped).slice(0, end))).toMatchObject({
      type: "failed",
      failure: { errorClass: "BrokenStream" },
      charge: "estimate",
    });
  });

  test("costs what Bedrock's metrics say", async () => {
    const metrics = {
      inputTokenCount: 1,
      outputTokenCount: 2,
      cacheReadInputTokenCount: 3,
      cacheWriteInputTokenCount: 4,
    };
    const body = chunks(stopped);
    const last = { ...body.at(-1), "amazon-bedrock-invocationMetrics": metrics };
    expect(await hear(...body.slice(0, -1), last)).toMatchObject({
      type: "answered",
      answer: { usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4 } },
    });
  });
});

describe("a filter", () => {
  test.each([
    [
      "a guardrail, in any body",
      { generation: "No", stop_reason: "stop", "amazon-bedrock-guardrailAction": "INTERVENED" },
      "guardrail_intervened",
    ],
    [
      "one of two candidates",
      { results: [{ completionReason: "FINISH" }, { completionReason: "CONTENT_FILTERED" }] },
      "CONTENT_FILTERED",
    ],
    [
      "a refusal in a field of its own",
      { choices: [{ message: { content: null, refusal: "No" }, finish_reason: "stop" }] },
      "refusal",
    ],
    ["Nova Canvas, of all images", { images: null, error: "Images were blocked" }, "content_filtered"],
    [
      "Titan Image, of all images",
      { images: [], error: "Blocked by our content filters" },
      "content_filtered",
    ],
    [
      "Nova Canvas, of some images",
      { images: ["aGVsbG8="], error: "Some images were blocked" },
      "content_filtered",
    ],
    [
      "Stability, of the prompt",
      { seeds: [], finish_reasons: ["Filter reason: prompt"], images: [] },
      "Filter reason: prompt",
    ],
    [
      "Stability, of one image",
      { seeds: [1, 2], finish_reasons: [null, "Filter reason: output image"], images: ["aGVsbG8=", ""] },
      "Filter reason: output image",
    ],
    [
      "Stable Diffusion",
      { result: "success", artifacts: [{ base64: "", finishReason: "CONTENT_FILTERED" }] },
      "CONTENT_FILTERED",
    ],
    [
      "a filter without usage",
      { choices: [], "amazon-bedrock-guardrailAction": "INTERVENED" },
      "guardrail_intervened",
    ],
  ])("of %s", async (_, body, stopReason) => {
    expect(await invoke(body)).toMatchObject({ type: "filtered", answer: { stopReason, body } });
  });

  test.each([
    ["images", { images: ["aGVsbG8="], error: null }],
    ["Stability's images", { seeds: [1], finish_reasons: [null], images: ["aGVsbG8="] }],
    [
      "a Stable Diffusion",
      { result: "success", artifacts: [{ base64: "aGVsbG8=", finishReason: "SUCCESS" }] },
    ],
    ["an embedding", { embedding: [0.1], inputTextTokenCount: 1 }],
    ["embeddings by type", { embeddings: { float: [[0.1]] }, id: "1", response_type: "embeddings_by_type" }],
    ["a ranking", { results: [{ index: 0, relevance_score: 0.9 }] }],
  ])("is none in %s", async (_, body) => {
    expect(await invoke(body, 0)).toMatchObject({
      type: "answered",
      answer: { body, usage: { outputTokens: 0 } },
    });
  });
});

describe("a body of a failure", () => {
  test.each([
    ["Stability's", { seeds: [], finish_reasons: ["Inference error"], images: [] }],
    ["Stable Diffusion's", { result: "error", artifacts: [{ base64: "", finishReason: "ERROR" }] }],
    ["Cohere's", { generations: [{ text: "", finish_reason: "ERROR" }] }],
    ["Titan's embeddings'", { embedding: null, inputTextTokenCount: 3, message: "Something failed" }],
  ])("%s is one", async (_, body) => {
    expect(await invoke(body)).toMatchObject({
      type: "failed",
      failure: { errorClass: "ModelErrorException", requestId: "r-7" },
    });
  });

  test("is an answer when the model had written something", async () => {
    expect(await invoke({ generations: [{ text: "Hello", finish_reason: "ERROR" }] })).toMatchObject({
      type: "answered",
      answer: { stopReason: "ERROR" },
    });
  });

  test.each([
    [
      "Claude's",
      { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
      "OverloadedException",
    ],
    ["OpenAI's", { error: { message: "Internal error", code: 500 } }, "InternalServerException"],
  ])("%s ends a stream", async (__, error, errorClass) => {
    const [opening, hello] = families["Claude"]?.chunks?.("end_turn") ?? [];
    expect(await hear(error)).toMatchObject({ failure: { errorClass }, charge: "request" });
    const begun = await hear(opening, hello, error);
    expect(begun).toMatchObject({ failure: { errorClass }, charge: "estimate", texts: ["Hello"] });
    expect(begun).toHaveProperty("observedOutputTokens", 2);
  });
});

describe("a stream of a model that nobody knows", () => {
  test("is whole when it ends in good order: it has no word for its end", async () => {
    expect(await hear({ words: "Hello" }, { words: " there" })).toMatchObject({
      type: "answered",
      answer: { stopReason: "not_reported", body: [{ words: "Hello" }, { words: " there" }] },
      usageEstimated: true,
    });
  });

  test("is not when nothing came", async () => {
    expect(await hear()).toMatchObject({ failure: { errorClass: "BrokenStream" } });
  });
});

test.each([
  [
    "a sequence that was hit, instead of a reason",
    { generation: "Hi", stop_reason: "\n### my secret" },
    "other",
  ],
  [
    "the same beside a reason",
    { choices: [{ text: "Hi", finish_reason: "stop", stop_reason: "my secret" }] },
    "stop",
  ],
  ["a long text", { outputs: [{ text: "Hi", stop_reason: "my secret ".repeat(10) }] }, "other"],
  ["a number", { choices: [{ text: "Hi", finish_reason: "stop", stop_reason: 128_001 }] }, "stop"],
  ["an empty text", { generation: "Hi", stop_reason: "" }, "not_reported"],
])("%s is no word to be logged", async (_, body, stopReason) => {
  expect(await invoke(body)).toMatchObject({ type: "answered", answer: { stopReason } });
});

describe("counts", () => {
  test.each([
    [
      "OpenAI's, with a cache in its input",
      { usage: { prompt_tokens: 10, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } } },
      { inputTokens: 6, outputTokens: 3, cacheReadTokens: 4 },
    ],
    [
      "a total in the place of its output",
      { usage: { prompt_tokens: 10, total_tokens: 13 } },
      { inputTokens: 10, outputTokens: 3 },
    ],
    [
      "Cohere's tokens",
      { text: "Hi", meta: { tokens: { input_tokens: 10, output_tokens: 3 } } },
      { inputTokens: 10, outputTokens: 3 },
    ],
    [
      "several results",
      { inputTextTokenCount: 10, results: [{ tokenCount: 1 }, { tokenCount: 2 }] },
      { inputTokens: 10, outputTokens: 3 },
    ],
  ])("%s", async (_, body, usage) => {
    const result = await invoke(body);
    expect(result).toMatchObject({ type: "answered", answer: { usage } });
    expect(result).not.toHaveProperty("usageEstimated");
  });
});
