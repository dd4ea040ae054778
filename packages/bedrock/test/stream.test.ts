import { setImmediate as nextTurn } from "node:timers/promises";
import { start } from "@sluice/simulator";
import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { estimateInputTokens } from "../src/estimate/index.ts";
import type { CallResult, StreamCall } from "../src/index.ts";
import { startEndpoint, type Endpoint } from "./endpoint.ts";
import { beginStream, errorMessage, event, exception } from "./frames.ts";
import { open } from "./kinds.ts";

const MODEL = "us.anthropic.claude-sonnet-4-6-v1:0";
const REQUEST = { messages: [{ role: "user" as const, content: [{ text: "Hi" }] }], maxTokens: 200 };

const OPENING = event("messageStart", { role: "assistant" });
const HELLO = event("contentBlockDelta", { contentBlockIndex: 0, delta: { text: "Hello" } });
const THERE = event("contentBlockDelta", { contentBlockIndex: 0, delta: { text: " there" } });
const STOP = event("messageStop", { stopReason: "end_turn" });
const USAGE = event("metadata", {
  usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10, cacheReadInputTokens: 2 },
  metrics: { latencyMs: 12 },
});

const GUESS = {
  inputTokens: estimateInputTokens(REQUEST),
  outputTokens: 4,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
};

async function endpoint(answer: (response: ServerResponse) => void): Promise<Endpoint> {
  const started = await startEndpoint(answer);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

async function call(
  url: string,
  changes: Partial<StreamCall> = {},
): Promise<CallResult & { texts: string[] }> {
  const bedrock = open(url);
  onTestFinished(() => bedrock.close());
  const texts: string[] = [];
  const result = await bedrock.stream({
    model: MODEL,
    request: REQUEST,
    jobId: "claude.bulk.01",
    signal: new AbortController().signal,
    timeoutMs: 5_000,
    onText: (text) => texts.push(text),
    ...changes,
  });
  return { ...result, texts };
}

/** A stream of these frames that then ends. */
async function hear(...frames: Buffer[]): Promise<CallResult & { texts: string[] }> {
  const { url } = await endpoint((response) => {
    beginStream(response, ...frames);
    response.end();
  });
  return call(url);
}

describe("an answer", () => {
  test("arrives piece by piece, and whole at the end", async () => {
    expect(await hear(OPENING, HELLO, THERE, STOP, USAGE)).toEqual({
      type: "answered",
      answer: {
        text: "Hello there",
        stopReason: "end_turn",
        model: MODEL,
        usage: { inputTokens: 7, outputTokens: 3, cacheReadTokens: 2, cacheWriteTokens: 0 },
        latencyMs: expect.any(Number),
      },
      texts: ["Hello", " there"],
    });
  });

  test("has whole characters, also those that came in two pieces", async () => {
    const halves = ["one \uD83D", "\uDC4D two", " \uD83D\uDC4D"].map((text) =>
      event("contentBlockDelta", { contentBlockIndex: 0, delta: { text } }),
    );
    const result = await hear(...halves, STOP, USAGE);
    expect(result).toMatchObject({ answer: { text: "one 👍 two 👍" } });
    expect(result.texts.join("")).toBe("one 👍 two 👍");
  });

  test("is what Converse says, at the same price", async () => {
    const simulator = await start({ timeScale: 0 });
    const bedrock = open(simulator.url);
    onTestFinished(async () => {
      bedrock.close();
      await simulator.stop();
    });
    const asked = {
      model: MODEL,
      request: REQUEST,
      jobId: "j",
      signal: AbortSignal.any([]),
      timeoutMs: 5_000,
    };
    const whole = await bedrock.converse(asked);
    const streamed = await bedrock.stream({ ...asked, onText: ignore });
    if (whole.type !== "answered") throw new Error(`Expected an answer, got ${whole.type}`);
    const answer = { ...whole.answer, latencyMs: expect.any(Number) };
    expect(streamed).toEqual({ type: "answered", answer });
  });

  test("asks as Converse does, tier and job included", async () => {
    const { url, bodies, headers } = await endpoint((response) => {
      beginStream(response, STOP, USAGE);
      response.end();
    });
    await call(url, { serviceTier: "flex" });
    expect(bodies).toEqual([
      {
        messages: REQUEST.messages,
        inferenceConfig: { maxTokens: 200 },
        requestMetadata: { jobId: "claude.bulk.01" },
        serviceTier: { type: "flex" },
      },
    ]);
    expect(headers).toMatchObject([{ "amz-sdk-request": "attempt=1; max=1" }]);
  });

  test("may be empty", async () => {
    expect(await hear(OPENING, STOP, USAGE)).toMatchObject({
      type: "answered",
      answer: { text: "" },
      texts: [],
    });
  });

  test.each(["content_filtered", "guardrail_intervened", "refusal"])(
    "stopped by %s is filtered",
    async (reason) => {
      const result = await hear(HELLO, event("messageStop", { stopReason: reason }), USAGE);
      expect(result).toMatchObject({ type: "filtered", answer: { text: "Hello", stopReason: reason } });
      expect(result).not.toHaveProperty("usageEstimated");
    },
  );

  test("whose stop has no reason, or was lost before its usage, is whole", async () => {
    const whole = { type: "answered", answer: { text: "Hello there", stopReason: "not_reported" } };
    expect(await hear(HELLO, THERE, event("messageStop", {}))).toMatchObject({
      ...whole,
      usageEstimated: true,
    });
    const unstopped = await hear(HELLO, THERE, USAGE);
    expect(unstopped).toMatchObject({ ...whole, answer: { ...whole.answer, usage: { outputTokens: 3 } } });
    expect(unstopped).not.toHaveProperty("usageEstimated");
  });

  test.each(["content_filtered", "guardrail_intervened"])(
    "of nothing but %s is filtered",
    async (stopReason) => {
      expect(await hear(event("messageStop", { stopReason }))).toMatchObject({
        type: "filtered",
        answer: { text: "", stopReason, usage: { outputTokens: 0 } },
        usageEstimated: true,
      });
    },
  );

  test("does not mind events it does not know", async () => {
    const strange = [
      event("somethingNew", { a: 1 }),
      event("contentBlockDelta", { delta: null }),
      event("metadata", {}),
    ];
    expect(await hear(...strange, HELLO, STOP, USAGE)).toMatchObject({
      answer: { text: "Hello", usage: { outputTokens: 3 } },
    });
  });

  test("keeps thoughts and tool input to itself, but counts them", async () => {
    const thoughts = event("contentBlockDelta", { delta: { reasoningContent: { text: "x".repeat(350) } } });
    const tool = event("contentBlockDelta", { delta: { toolUse: { input: "y".repeat(35) } } });
    const result = await hear(thoughts, tool, HELLO);
    expect(result).toMatchObject({ type: "failed", observedOutputTokens: 112, texts: ["Hello"] });
  });
});

describe("an answer without its usage", () => {
  const expected = {
    type: "answered",
    answer: { text: "Hello there", stopReason: "end_turn", usage: GUESS },
    usageEstimated: true,
  };

  test("that just ends is complete, at an estimated price", async () => {
    expect(await hear(OPENING, HELLO, THERE, STOP)).toMatchObject(expected);
  });

  test.each([{ inputTokens: -1, outputTokens: "3" }, {}, "many", null])(
    "whose usage makes no sense: %o",
    async (usage) => {
      const nonsense = event("metadata", { usage });
      expect(await hear(OPENING, HELLO, THERE, STOP, nonsense)).toMatchObject(expected);
    },
  );

  test("whose usage makes sense in part: that part counts", async () => {
    const partial = event("metadata", { usage: { outputTokens: 3, cacheReadInputTokens: 2 } });
    expect(await hear(OPENING, HELLO, THERE, STOP, partial)).toMatchObject({
      answer: { usage: { inputTokens: GUESS.inputTokens - 2, outputTokens: 3, cacheReadTokens: 2 } },
      usageEstimated: true,
    });
  });

  test.each([
    ["a reset", (response: ServerResponse) => void setTimeout(() => response.socket?.resetAndDestroy(), 20)],
    [
      "an exception",
      (response: ServerResponse) =>
        void response.end(exception("internalServerException", { message: "Oops" })),
    ],
    ["half a frame", (response: ServerResponse) => void response.end(USAGE.subarray(0, 20))],
    ["silence", () => undefined],
  ])("%s after the last word breaks nothing", async (_, end) => {
    const { url } = await endpoint((response) => {
      beginStream(response, HELLO, THERE, STOP);
      end(response);
    });
    expect(await call(url, { timeoutMs: 500 })).toMatchObject(expected);
  });
});

describe("a stream that is broken", () => {
  test.each([
    ["no frame at all", []],
    ["its opening only", [OPENING]],
  ])("with %s", async (_, frames) => {
    const result = await hear(...frames);
    expect(result).toMatchObject({
      type: "failed",
      failure: { kind: "transient", errorClass: "BrokenStream", requestId: "r-7" },
      charge: "estimate",
    });
    expect(result).not.toHaveProperty("observedOutputTokens");
  });

  test.each([
    ["JSON that is none", event("contentBlockDelta", `{"delta":{"text":"my secret`), "UnreadableAnswer"],
    ["a message of type error", errorMessage("InternalFailure", "Oops"), "InternalFailure"],
    [
      "an error with a quotation",
      errorMessage("ValidationException", "Bad input 'my secret'"),
      "ValidationException",
    ],
  ])("by %s", async (_, frame, errorClass) => {
    const result = await hear(HELLO, THERE, frame);
    expect(result).toMatchObject({
      type: "failed",
      failure: { errorClass, requestId: "r-7" },
      charge: "estimate",
      observedOutputTokens: 4,
    });
    expect(JSON.stringify({ ...result, texts: [] })).not.toMatch(/secret|Hello/);
  });

  test.each([
    ["a throttle", exception("throttlingException", { message: "Too many tokens" }), "throttled"],
    ["a refused service", exception("serviceUnavailableException", { message: "Gone" }), "transient"],
    ["a refused request", exception("validationException", { message: "No" }), "terminal"],
  ])("by %s before its first word was refused: it has cost a request", async (_, frame, kind) => {
    expect(await hear(frame)).toMatchObject({ failure: { kind }, charge: "request" });
    expect(await hear(OPENING, frame)).toMatchObject({ failure: { kind }, charge: "request" });
    // From then on the model is at work.
    expect(await hear(HELLO, frame)).toMatchObject({ failure: { kind }, charge: "estimate" });
  });

  test("is hung up on, also when the other end goes on", async () => {
    let closed: Promise<unknown> | undefined;
    const { url } = await endpoint((response) => {
      closed = new Promise((resolve) => {
        response.on("close", resolve);
      });
      beginStream(response, HELLO, exception("throttlingException", { message: "Too many tokens" }));
    });
    expect(await call(url)).toMatchObject({
      failure: { kind: "throttled", dimension: "tokens" },
      charge: "estimate",
    });
    await closed;
  });

  test("answers that are no stream at all", async () => {
    const { url } = await endpoint((response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<html>my secret</html>");
    });
    const result = await call(url);
    expect(result).toMatchObject({ type: "failed", failure: { kind: "transient" }, charge: "estimate" });
    expect(JSON.stringify(result)).not.toContain("secret");
  });
});

describe("a content filter that speaks by exception", () => {
  const filter = exception("validationException", { message: "Blocked by our content filters." });

  test("before the first word", async () => {
    expect(await hear(filter)).toMatchObject({
      type: "filtered",
      answer: { text: "", stopReason: "content_filtered", usage: { inputTokens: 0, outputTokens: 0 } },
    });
  });

  test("within the answer: what came before it counts", async () => {
    expect(await hear(HELLO, THERE, filter)).toMatchObject({
      type: "filtered",
      answer: { text: "Hello there", stopReason: "content_filtered", usage: GUESS },
      usageEstimated: true,
    });
  });
});

/** A stream that says hello and then nothing. */
async function silent(): Promise<Endpoint & { closed: Promise<unknown> }> {
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  const started = await endpoint((response) => {
    response.on("close", resolve);
    beginStream(response, OPENING, HELLO);
  });
  return { ...started, closed };
}

function refuse(text: string): void {
  throw new TypeError(`Cannot write ${text}`);
}

function ignore(): void {}

describe("an end of our own", () => {
  test("by time", async () => {
    const { url, closed } = await silent();
    expect(await call(url, { timeoutMs: 500 })).toMatchObject({
      failure: { errorClass: "TimeoutError", requestId: "r-7" },
      charge: "estimate",
      observedOutputTokens: 2,
    });
    await closed;
  });

  test("by the signal, with what had been written by then", async () => {
    const { url, closed } = await silent();
    const own = new AbortController();
    const result = await call(url, { signal: own.signal, onText: () => own.abort() });
    expect(result).toEqual({ type: "aborted", observedOutputTokens: 2, texts: [] });
    await closed;
  });

  test("before the call: nothing is sent", async () => {
    const { url, bodies } = await silent();
    expect(await call(url, { signal: AbortSignal.abort() })).toEqual({ type: "aborted", texts: [] });
    expect(bodies).toEqual([]);
  });

  test("hears nothing more afterwards", async () => {
    const own = new AbortController();
    const texts: string[] = [];
    const { url } = await endpoint((response) => {
      beginStream(response, HELLO, THERE, THERE, STOP);
      response.end();
    });
    const onText = (text: string): void => {
      texts.push(text);
      own.abort();
    };
    expect(await call(url, { signal: own.signal, onText })).toMatchObject({ type: "aborted" });
    // The frames had all arrived: whoever still reads them does so within a few turns.
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(texts).toEqual(["Hello"]);
  });

  test("by a listener that throws: a failure without its message", async () => {
    const { url } = await silent();
    const result = await call(url, { onText: refuse });
    expect(result).toMatchObject({
      type: "failed",
      failure: { errorClass: "UnknownError" },
      observedOutputTokens: 2,
    });
    expect(JSON.stringify(result)).not.toContain("Hello");
  });
});

test("a connection that was read to its end is used again", async () => {
  const sockets = new Set<unknown>();
  const started = await startEndpoint((response, request) => {
    sockets.add(request.socket);
    beginStream(response, HELLO, STOP, USAGE);
    response.end();
  });
  onTestFinished(() => started[Symbol.asyncDispose]());
  const bedrock = open(started.url);
  onTestFinished(() => bedrock.close());
  const { signal } = new AbortController();
  for (let round = 0; round < 5; round += 1) {
    await bedrock.stream({
      model: MODEL,
      request: REQUEST,
      jobId: "j",
      signal,
      timeoutMs: 5_000,
      onText: ignore,
    });
  }
  expect(sockets.size).toBe(1);
});
