import { start, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { CallResult, InvokeCall } from "../src/index.ts";
import { beginStream, event, exception } from "./frames.ts";
import { open } from "./kinds.ts";
import { serving } from "./serving.ts";

const CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0";
const NOVA = "us.amazon.nova-pro-v1:0";
const TITAN = "amazon.titan-embed-text-v2:0";

let simulator: Simulator;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
});

afterAll(() => simulator.stop());

function claude(text: string): InvokeCall["request"] {
  const messages = [{ role: "user", content: text }];
  const body = { anthropic_version: "bedrock-2023-05-31", max_tokens: 200, messages };
  return { body, maxTokens: 200, stream: true };
}

function nova(text: string): InvokeCall["request"] {
  const messages = [{ role: "user", content: [{ text }] }];
  return { body: { messages, inferenceConfig: { maxTokens: 200 } }, maxTokens: 200, stream: true };
}

async function ask(
  model: string,
  request: InvokeCall["request"],
  changes: Partial<InvokeCall> & { url?: string } = {},
): Promise<CallResult & { texts: string[] }> {
  const { url = simulator.url, ...rest } = changes;
  const bedrock = open(url);
  onTestFinished(() => bedrock.close());
  const texts: string[] = [];
  const result = await bedrock.invoke({
    model,
    request,
    jobId: "claude.bulk.7",
    signal: new AbortController().signal,
    timeoutMs: 5_000,
    serviceTier: "flex",
    onText: (text) => texts.push(text),
    ...rest,
  });
  return { ...result, texts };
}

/** A chunk as Bedrock frames it. */
function chunk(body: object | string): Buffer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return event("chunk", { bytes: Buffer.from(text).toString("base64"), p: "abcd" });
}

/** Hears a stream of these frames that then ends. */
async function hear(...frames: Buffer[]): Promise<CallResult & { texts: string[] }> {
  const { endpoint } = await serving((response) => {
    beginStream(response, ...frames);
    response.end();
  });
  return ask(CLAUDE, claude("Hi"), { url: endpoint.url });
}

const METRICS = { "amazon-bedrock-invocationMetrics": { inputTokenCount: 12, outputTokenCount: 34 } };

/** The same answer in each model's words. */
const families = {
  Claude: {
    opening: chunk({
      type: "message_start",
      message: { usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 1 } },
    }),
    hello: chunk({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } }),
    there: chunk({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: " there" } }),
    stop: [
      chunk({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } }),
      chunk({ type: "message_stop" }),
    ],
    usage: [],
    metrics: chunk({ type: "message_stop", ...METRICS }),
  },
  Nova: {
    opening: chunk({ messageStart: { role: "assistant" } }),
    hello: chunk({ contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Hello" } } }),
    there: chunk({ contentBlockDelta: { contentBlockIndex: 0, delta: { text: " there" } } }),
    stop: [chunk({ messageStop: { stopReason: "end_turn" } })],
    usage: [chunk({ metadata: { usage: { inputTokens: 7, outputTokens: 3, cacheReadInputTokens: 2 } } })],
    metrics: chunk({ metadata: {}, ...METRICS }),
  },
};

describe("against the simulator", () => {
  test.each([
    ["Claude", CLAUDE, claude("Tell me about locks"), { type: "message_start" }],
    ["Nova", NOVA, nova("Tell me about locks"), { messageStart: { role: "assistant" } }],
  ])("%s answers in its own chunks, at the price in the last one", async (_, model, request, first) => {
    const { next } = simulator.calls();
    const { texts, ...result } = await ask(model, request);
    const [seen, ...others] = simulator.calls(next).calls;
    expect(others).toEqual([]);
    expect(seen).toMatchObject({
      operation: "InvokeModelWithResponseStream",
      requestMetadata: { jobId: "claude.bulk.7" },
      maxAttempts: 1,
    });
    expect(result).toEqual({
      type: "answered",
      answer: {
        text: texts.join(""),
        body: expect.any(Array),
        stopReason: "end_turn",
        model,
        usage: {
          inputTokens: seen?.inputTokens,
          outputTokens: seen?.outputTokens,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
        },
        latencyMs: expect.any(Number),
      },
    });
    expect(texts.length).toBeGreaterThan(1);
    expect(result).toHaveProperty("answer.body.0", expect.objectContaining(first));
  });

  test.each([
    [CLAUDE, claude("[[sim:content_filtered]]"), "refusal"],
    [CLAUDE, claude("[[sim:guardrail_intervened]]"), "guardrail_intervened"],
    [NOVA, nova("[[sim:content_filtered]]"), "content_filtered"],
  ])("%s filtered by %o stops with %s", async (model, request, stopReason) => {
    expect(await ask(model, request)).toMatchObject({
      type: "filtered",
      answer: { stopReason, body: expect.any(Array), usage: { inputTokens: expect.any(Number) } },
    });
  });

  // Claude meets every fault there is in the tests of the wire.
  test.each(["reset@mid", "early-end", "truncated-frame", "bad-checksum", "ModelTimeoutException@mid"])(
    "Nova cut by %s",
    async (fault) => {
      const { texts, ...result } = await ask(NOVA, nova(`Tell me all about locks [[sim:${fault}]]`));
      expect(result).toMatchObject({
        type: "failed",
        failure: { kind: "transient" },
        charge: "estimate",
        observedOutputTokens: expect.any(Number),
      });
      expect(texts).not.toEqual([]);
    },
  );

  test("Nova's time-out as the first frame", async () => {
    const result = await ask(NOVA, nova("[[sim:ModelTimeoutException@first]]"));
    expect(result).toMatchObject({
      failure: { kind: "transient", errorClass: "ModelTimeoutException" },
      charge: "estimate",
      texts: [],
    });
    expect(result).not.toHaveProperty("observedOutputTokens");
  });

  test("a model that does not stream", async () => {
    const request = { body: { inputText: "locks" }, maxTokens: 0, stream: true };
    expect(await ask(TITAN, request)).toMatchObject({
      failure: { kind: "terminal", errorClass: "ValidationException" },
    });
  });
});

describe.each(Object.entries(families))("%s", (_, { opening, hello, there, stop, usage, metrics }) => {
  test("without metrics: complete by the model's own end and count", async () => {
    const result = await hear(opening, hello, there, ...stop, ...usage);
    expect(result).toMatchObject({
      type: "answered",
      answer: {
        text: "Hello there",
        stopReason: "end_turn",
        usage: { inputTokens: 7, outputTokens: 3, cacheReadTokens: 2 },
      },
      texts: ["Hello", " there"],
    });
    expect(result).not.toHaveProperty("usageEstimated");
  });

  test("Bedrock's metrics win over the model's count", async () => {
    expect(await hear(opening, hello, ...stop, ...usage, metrics)).toMatchObject({
      answer: { usage: { inputTokens: 12, outputTokens: 34 } },
    });
  });

  test("without its end it is broken, however well it ended", async () => {
    expect(await hear(opening, hello, there)).toMatchObject({
      type: "failed",
      failure: { kind: "transient", errorClass: "BrokenStream", requestId: "r-7" },
      charge: "estimate",
      observedOutputTokens: 4,
    });
  });

  test("what breaks after its end, breaks nothing", async () => {
    expect(
      await hear(hello, there, ...stop, exception("internalServerException", { message: "Oops" })),
    ).toMatchObject({ type: "answered", answer: { text: "Hello there" }, usageEstimated: true });
  });

  test("a filter that speaks by exception, within the answer", async () => {
    const filter = exception("validationException", { message: "Blocked by our content filters." });
    expect(await hear(opening, hello, filter)).toMatchObject({
      type: "filtered",
      answer: { text: "Hello", stopReason: "content_filtered" },
      usageEstimated: true,
    });
  });
});

describe("chunks", () => {
  test("of a model nobody knows are kept, and complete by the metrics", async () => {
    const chunks = [{ words: "Hello" }, null, { words: "", stop_reason: "length", ...METRICS }];
    expect(await hear(...chunks.map((each) => chunk(JSON.stringify(each))))).toMatchObject({
      type: "answered",
      answer: { text: "", body: chunks, stopReason: "length", usage: { inputTokens: 12, outputTokens: 34 } },
      texts: [],
    });
  });

  test("that are no JSON make the answer unreadable, and are not quoted", async () => {
    const result = await hear(families.Claude.hello, chunk('{"type":"my secret'));
    expect(result).toMatchObject({
      failure: { kind: "transient", errorClass: "UnreadableAnswer" },
      charge: "estimate",
      observedOutputTokens: 2,
    });
    expect(JSON.stringify(result)).not.toContain("secret");
  });

  test("keep thoughts and tool input to themselves, but count them", async () => {
    const written = [
      { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "x".repeat(350) } },
      { type: "content_block_delta", delta: { type: "input_json_delta", partial_json: "y".repeat(35) } },
      { contentBlockDelta: { delta: { reasoningContent: { text: "z".repeat(35) } } } },
    ];
    expect(await hear(...written.map(chunk))).toMatchObject({ observedOutputTokens: 120, texts: [] });
  });
});

test("nobody has to listen", async () => {
  const bedrock = open(simulator.url);
  onTestFinished(() => bedrock.close());
  const { signal } = new AbortController();
  const call = { model: CLAUDE, request: claude("Hi"), jobId: "claude.bulk.7", signal, timeoutMs: 5_000 };
  expect(await bedrock.invoke(call)).toMatchObject({ type: "answered", answer: { stopReason: "end_turn" } });
});

test("tier, job and format are headers, and the body is untouched", async () => {
  const { endpoint } = await serving((response) => {
    beginStream(response, families.Claude.metrics);
    response.end();
  });
  const request = claude("Grüße, 世界");
  await ask(CLAUDE, request, { url: endpoint.url });
  expect(endpoint.bodies).toEqual([request.body]);
  expect(endpoint.headers).toMatchObject([
    {
      "content-type": "application/json",
      "x-amzn-bedrock-service-tier": "flex",
      "x-amzn-bedrock-request-metadata": '{"jobId":"claude.bulk.7"}',
      "amz-sdk-request": "attempt=1; max=1",
    },
  ]);
});
