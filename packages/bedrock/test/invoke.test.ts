import { start, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BedrockCaller, CallResult, InvokeCall } from "../src/index.ts";
import { readReply } from "../src/calls/invoke-reply.ts";
import { open } from "./kinds.ts";
import { serving, type Serving } from "./serving.ts";

const CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0";
const NOVA = "us.amazon.nova-pro-v1:0";
const TITAN = "amazon.titan-embed-text-v2:0";
const COHERE = "cohere.embed-english-v3";

let simulator: Simulator;
let bedrock: BedrockCaller;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
  bedrock = open(simulator.url);
});

afterAll(async () => {
  bedrock.close();
  await simulator.stop();
});

function claude(text: string): InvokeCall["request"] {
  const messages = [{ role: "user", content: text }];
  return {
    body: { anthropic_version: "bedrock-2023-05-31", max_tokens: 200, messages },
    maxTokens: 200,
    stream: false,
  };
}

function nova(text: string): InvokeCall["request"] {
  const messages = [{ role: "user", content: [{ text }] }];
  return { body: { messages, inferenceConfig: { maxTokens: 200 } }, maxTokens: 200, stream: false };
}

async function ask(
  model: string,
  request: InvokeCall["request"],
  caller: BedrockCaller = bedrock,
): Promise<CallResult> {
  const { signal } = new AbortController();
  return caller.invoke({
    model,
    request,
    jobId: "claude.bulk.7",
    signal,
    timeoutMs: 5_000,
    serviceTier: "flex",
  });
}

describe("against the simulator", () => {
  test.each([
    ["Claude", CLAUDE, claude("Tell me about locks"), { type: "message", role: "assistant" }, "end_turn"],
    ["Nova", NOVA, nova("Tell me about locks"), { output: { message: { role: "assistant" } } }, "end_turn"],
    [
      "Titan",
      TITAN,
      { body: { inputText: "locks" }, maxTokens: 0, stream: false },
      { embedding: expect.any(Array) },
      "not_reported",
    ],
    [
      "Cohere",
      COHERE,
      { body: { texts: ["locks", "weirs"], input_type: "search_query" }, maxTokens: 0, stream: false },
      { embeddings: [expect.any(Array), expect.any(Array)] },
      "not_reported",
    ],
  ])(
    "%s answers with its own body, at the price in the headers",
    async (_, model, request, body, stopReason) => {
      const { next } = simulator.calls();
      const result = await ask(model, request);
      const [seen, ...others] = simulator.calls(next).calls;
      expect(others).toEqual([]);
      expect(seen).toMatchObject({
        operation: "InvokeModel",
        requestMetadata: { jobId: "claude.bulk.7" },
        maxAttempts: 1,
      });
      expect(result).toMatchObject({
        type: "answered",
        answer: {
          text: "",
          body,
          stopReason,
          model,
          usage: { inputTokens: seen?.inputTokens, outputTokens: seen?.outputTokens },
        },
      });
      expect(result).not.toHaveProperty("usageEstimated");
    },
  );

  test.each([
    [CLAUDE, claude("[[sim:content_filtered]]"), "refusal"],
    [CLAUDE, claude("[[sim:guardrail_intervened]]"), "guardrail_intervened"],
    [NOVA, nova("[[sim:content_filtered]]"), "content_filtered"],
  ])("%s filtered by %o stops with %s", async (model, request, stopReason) => {
    expect(await ask(model, request)).toMatchObject({
      type: "filtered",
      answer: { stopReason, body: expect.any(Object), usage: { inputTokens: expect.any(Number) } },
    });
  });

  test.each([
    ["amazon.titan-text-express-v1", { inputText: "locks" }, "FINISH", "CONTENT_FILTERED"],
    ["meta.llama3-70b-instruct-v1:0", { prompt: "locks" }, "stop", "content_filter"],
    ["mistral.mistral-7b-instruct-v0:2", { prompt: "locks" }, "stop", "content_filter"],
    ["cohere.command-text-v14", { prompt: "locks" }, "COMPLETE", "ERROR_TOXIC"],
    ["openai.gpt-oss-120b-1:0", { messages: [{ role: "user", content: "locks" }] }, "stop", "content_filter"],
  ])(
    "%s ends for its own reason, is filtered for its own, and costs what it has used",
    async (model, body, end, filter) => {
      const invocation = { body, maxTokens: 200, stream: false };
      const marked = JSON.parse(JSON.stringify(body).replace("locks", "locks [[sim:content_filtered]]"));
      const { next } = simulator.calls();
      for (const stream of [false, true]) {
        const result = await ask(model, { ...invocation, stream });
        const seen = simulator.calls(next).calls.at(-1);
        const usage = { inputTokens: seen?.inputTokens, outputTokens: seen?.outputTokens };
        expect(result).toMatchObject({ type: "answered", answer: { stopReason: end, usage } });
        expect(result).not.toHaveProperty("usageEstimated");
        expect(await ask(model, { ...invocation, body: marked, stream })).toMatchObject({
          type: "filtered",
          answer: { stopReason: filter },
        });
      }
    },
  );

  test("a body the model does not take", async () => {
    expect(await ask(CLAUDE, { body: { prompt: "Hi" }, maxTokens: 1, stream: false })).toMatchObject({
      failure: { kind: "terminal", errorClass: "ValidationException" },
      charge: "request",
    });
  });
});

async function replying(body: string): Promise<Serving> {
  return serving((response) => {
    response.writeHead(200, { "x-amzn-requestid": "r-7" }).end(body);
  });
}

describe("on the wire", () => {
  test("tier, job and format are headers, and the body is untouched", async () => {
    const { endpoint, bedrock: caller } = await replying("{}");
    const request = claude("Grüße, 世界");
    await ask(CLAUDE, request, caller);
    expect(endpoint.bodies).toEqual([request.body]);
    expect(endpoint.headers).toMatchObject([
      {
        "content-type": "application/json",
        accept: "application/json",
        "x-amzn-bedrock-service-tier": "flex",
        "x-amzn-bedrock-request-metadata": '{"jobId":"claude.bulk.7"}',
      },
    ]);
  });

  test.each(["", "Hello there", '{"content":', "<html></html>"])("'%s' is no answer", async (body) => {
    const { bedrock: caller } = await replying(body);
    const result = await ask(CLAUDE, claude("Hi"), caller);
    expect(result).toMatchObject({
      type: "failed",
      failure: { kind: "transient", errorClass: "UnreadableAnswer", requestId: "r-7" },
      charge: "estimate",
    });
    expect(JSON.stringify(result)).not.toContain("Hello there");
  });

  test.each(["null", "[]", "{}", '"text"', "7"])("%s is an answer", async (body) => {
    const { bedrock: caller } = await replying(body);
    expect(await ask(CLAUDE, claude("Hi"), caller)).toMatchObject({
      type: "answered",
      answer: { body: JSON.parse(body), stopReason: "not_reported" },
      usageEstimated: true,
    });
  });

  test("a content filter's exception", async () => {
    const { bedrock: caller } = await serving((response) => {
      response.writeHead(400, { "x-amzn-errortype": "ValidationException" });
      response.end('{"message":"This request has been blocked by our content filters."}');
    });
    expect(await ask(CLAUDE, claude("Hi"), caller)).toMatchObject({
      type: "filtered",
      answer: { text: "", stopReason: "content_filtered", usage: { inputTokens: 0, outputTokens: 0 } },
    });
  });
});

describe("usage", () => {
  const request = claude("Hi");
  const headers = { "x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "34" };
  const anthropic = {
    input_tokens: 1,
    output_tokens: 2,
    cache_read_input_tokens: 3,
    cache_creation_input_tokens: 4,
  };
  const novas = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheWriteInputTokens: 4 };
  const all = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4 };

  test.each([
    ["headers", {}, headers, { inputTokens: 12, outputTokens: 34, cacheReadTokens: 0, cacheWriteTokens: 0 }],
    ["Claude's body", { usage: anthropic }, {}, all],
    ["Nova's body", { usage: novas }, {}, all],
    ["both: the headers win", { usage: anthropic }, headers, { ...all, inputTokens: 12, outputTokens: 34 }],
    ["nonsense in the headers", { usage: novas }, { "x-amzn-bedrock-input-token-count": "many" }, all],
  ])("from %s", (_, body, given, usage) => {
    expect(readReply(request, body, given)).toMatchObject({ usage, usageEstimated: false });
  });

  test("of embeddings: there is no output to estimate", () => {
    const embedding = { body: { inputText: "Hi" }, maxTokens: 0 };
    expect(readReply(embedding, { embedding: [0.1, 0.2], inputTextTokenCount: 1 }, {})).toMatchObject({
      usage: { inputTokens: 1, outputTokens: 0 },
      usageEstimated: false,
    });
  });

  test("estimated: never more output than was asked for", () => {
    const body = { text: "word ".repeat(1_000) };
    expect(readReply(request, body, {})).toMatchObject({
      usage: { outputTokens: 200 },
      usageEstimated: true,
    });
    expect(readReply(request, { usage: { input_tokens: 9 } }, {})).toMatchObject({
      usage: { inputTokens: 9 },
      usageEstimated: true,
    });
  });
});
