import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConverseRequest } from "@sluice/job";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { createBedrock, type BedrockOptions, type CallResult, type ConverseCall } from "../src/index.ts";
import { ANSWER, sendAnswer, sendError, startEndpoint, type Endpoint } from "./endpoint.ts";

const CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };
const REQUEST: ConverseRequest = { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 20 };

async function call(
  url: string,
  given: Partial<ConverseCall> = {},
  options: Partial<BedrockOptions> = {},
): Promise<CallResult> {
  const bedrock = createBedrock({
    region: "us-east-1",
    endpoint: url,
    credentials: CREDENTIALS,
    maxConnections: 4,
    clock: Date.now,
    ...options,
  });
  onTestFinished(() => bedrock.close());
  return bedrock.converse({
    model: "us.anthropic.claude-sonnet-4-6-v1:0",
    request: REQUEST,
    jobId: "claude.bulk.01",
    signal: new AbortController().signal,
    timeoutMs: 5_000,
    ...given,
  });
}

async function endpoint(answer: Parameters<typeof startEndpoint>[0]): Promise<Endpoint> {
  const started = await startEndpoint(answer);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

describe("a request", () => {
  test("says everything it was given, and the job's id", async () => {
    const { url, bodies, headers } = await endpoint((response) => sendAnswer(response));
    await call(url, {
      request: { ...REQUEST, system: "Be brief", temperature: 0.2, topP: 0.9, stopSequences: ["END"] },
      serviceTier: "priority",
    });
    expect(bodies).toEqual([
      {
        messages: REQUEST.messages,
        system: [{ text: "Be brief" }],
        inferenceConfig: { maxTokens: 20, temperature: 0.2, topP: 0.9, stopSequences: ["END"] },
        requestMetadata: { jobId: "claude.bulk.01" },
        serviceTier: { type: "priority" },
      },
    ]);
    expect(headers[0]).toMatchObject({
      authorization: expect.stringMatching(/^AWS4-HMAC-SHA256 /),
      "amz-sdk-request": "attempt=1; max=1",
    });
  });

  test("says nothing it was not given, but always `maxTokens`", async () => {
    const { url, bodies } = await endpoint((response) => sendAnswer(response));
    await call(url);
    expect(bodies).toEqual([
      {
        messages: REQUEST.messages,
        inferenceConfig: { maxTokens: 20 },
        requestMetadata: { jobId: "claude.bulk.01" },
      },
    ]);
  });
});

describe("an answer", () => {
  test("has the text, the usage and the time it took", async () => {
    const { url } = await endpoint((response) => sendAnswer(response));
    const ticks = [1_000, 1_250];
    expect(await call(url, {}, { clock: () => ticks.shift() ?? 0 })).toEqual({
      type: "answered",
      answer: {
        text: "Hello there",
        stopReason: "end_turn",
        model: "us.anthropic.claude-sonnet-4-6-v1:0",
        usage: { inputTokens: 7, outputTokens: 3, cacheReadTokens: 2, cacheWriteTokens: 1 },
        latencyMs: 250,
      },
    });
  });

  test.each(["content_filtered", "guardrail_intervened", "refusal"])(
    "stopped by %s is filtered",
    async (stopReason) => {
      const { url } = await endpoint((response) => sendAnswer(response, { stopReason }));
      expect(await call(url)).toMatchObject({
        type: "filtered",
        answer: { stopReason, usage: { outputTokens: 3 } },
      });
    },
  );

  test.each(["max_tokens", "model_context_window_exceeded", "malformed_model_output", "something_new"])(
    "stopped by %s is an answer",
    async (stopReason) => {
      const { url } = await endpoint((response) => sendAnswer(response, { stopReason }));
      expect(await call(url)).toMatchObject({ type: "answered", answer: { stopReason } });
    },
  );

  test("refused by a content filter's exception is filtered, without text or usage", async () => {
    const message = "This request has been blocked by our content filters.";
    const { url } = await endpoint((response) =>
      sendError(response, 400, "ValidationException", { message }),
    );
    expect(await call(url)).toMatchObject({
      type: "filtered",
      answer: { text: "", stopReason: "content_filtered", usage: { inputTokens: 0, outputTokens: 0 } },
    });
  });

  test.each([
    ["nothing", {}],
    ["a list", []],
    ["a text", "Hello"],
    ["a number", 7],
    ["null", null],
    ["usage alone", { usage: ANSWER.usage }],
    ["an empty output alone", { output: {} }],
  ])("with %s in it is none", async (_, body) => {
    const { url } = await endpoint((response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    expect(await call(url)).toMatchObject({
      type: "failed",
      failure: { kind: "transient", errorClass: "UnreadableAnswer" },
      charge: "estimate",
    });
  });
});

describe("an error on the wire", () => {
  test.each([
    [429, "ThrottlingException", "throttled", "request"],
    [429, "ModelNotReadyException", "throttled", "request"],
    [503, "ServiceUnavailableException", "transient", "request"],
    [500, "InternalServerException", "transient", "request"],
    [500, "InternalFailure", "transient", "request"],
    [408, "ModelTimeoutException", "transient", "estimate"],
    [424, "ModelErrorException", "transient", "estimate"],
    [424, "ModelStreamErrorException", "transient", "estimate"],
    [400, "ValidationException", "terminal", "request"],
    [403, "AccessDeniedException", "systemic", "request"],
    [404, "ResourceNotFoundException", "systemic", "request"],
    [400, "ServiceQuotaExceededException", "throttled", "request"],
    [400, "ConflictException", "terminal", "request"],
    [404, "FTUFormNotFilled", "systemic", "request"],
    [403, "UnrecognizedClientException", "systemic", "nothing"],
    [529, "OverloadedException", "transient", "request"],
    [400, "SomethingNewException", "terminal", "request"],
  ])("%i %s", async (status, name, kind, charge) => {
    const { url, bodies } = await endpoint((response) => sendError(response, status, name));
    const result = await call(url);
    expect(result).toMatchObject({ type: "failed", charge });
    expect(result).toHaveProperty("failure.kind", kind);
    expect(result).toHaveProperty("failure.errorClass", name);
    expect(result).toMatchObject({ failure: { message: "Said so", status, requestId: "r-7" } });
    expect(bodies).toHaveLength(1);
  });

  test.each([
    ["Model x is currently overloaded. Please try again later.", "capacity"],
    ["Too many tokens per day, please wait before trying again.", "tokens-per-day"],
    ["Too many tokens, please wait before trying again.", "tokens"],
    ["Too many requests, please wait before trying again.", "requests"],
  ])("a throttle that says '%s'", async (message, dimension) => {
    const { url } = await endpoint((response) =>
      sendError(response, 429, "ThrottlingException", { message }),
    );
    expect(await call(url)).toMatchObject({ failure: { kind: "throttled", dimension, message } });
  });

  test.each([
    [500, "transient"],
    [429, "transient"],
    [400, "terminal"],
  ])("a model that failed with %i", async (originalStatusCode, kind) => {
    const { url } = await endpoint((response) =>
      sendError(response, 424, "ModelErrorException", { message: "Upstream", originalStatusCode }),
    );
    expect(await call(url)).toMatchObject({ failure: { kind, errorClass: "ModelErrorException" } });
  });

  test.each([
    [429, "throttled"],
    [403, "systemic"],
    [413, "systemic"],
    [502, "transient"],
    [529, "transient"],
  ])("%i without a name or a body", async (status, kind) => {
    const { url, bodies } = await endpoint((response) => sendError(response, status));
    expect(await call(url)).toMatchObject({ failure: { kind, errorClass: `HttpStatus${status}`, status } });
    expect(bodies).toHaveLength(1);
  });

  test("503 as a page of HTML", async () => {
    const { url } = await endpoint((response) => {
      response.writeHead(503, { "content-type": "text/html" }).end("<html>my secret</html>");
    });
    expect(await call(url)).toMatchObject({
      failure: {
        kind: "transient",
        errorClass: "HttpStatus503",
        message: "Expected JSON, got something else",
      },
    });
  });

  test("the server's hint when to come back", async () => {
    const { url } = await endpoint((response) =>
      sendError(response, 429, "ThrottlingException", {}, { "retry-after": "7" }),
    );
    expect(await call(url)).toMatchObject({ failure: { retryAfterMs: 7_000 } });
  });

  test("a clock that was wrong is corrected: worth another try", async () => {
    const date = new Date(Date.now() + 600_000).toUTCString();
    const { url } = await endpoint((response) =>
      sendError(response, 403, "AccessDeniedException", {}, { date }),
    );
    expect(await call(url)).toMatchObject({
      failure: { kind: "transient", errorClass: "AccessDeniedException" },
    });
  });

  test("a prompt that the message quotes stays out of it", async () => {
    const message =
      "Malformed input request: expected maxLength: 10, found 'my \"secret\" prompt', please reformat";
    const { url } = await endpoint((response) =>
      sendError(response, 400, "ValidationException", { message }),
    );
    expect(await call(url)).toMatchObject({
      failure: { message: "Malformed input request: expected maxLength: 10, found …" },
    });
  });
});

describe("a connection", () => {
  test("that nobody answers", async () => {
    const { url, [Symbol.asyncDispose]: stop } = await startEndpoint(() => undefined);
    await stop();
    expect(await call(url)).toMatchObject({
      failure: { kind: "transient", errorClass: "ConnectionError" },
      charge: "nothing",
    });
  });

  test("that breaks within its handshake: nothing was sent, nothing is charged", async () => {
    const server = createServer((socket) => {
      // The client has said hello by then; what it would ask, it has kept to itself.
      socket.once("data", () => socket.destroy());
    });
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = z.object({ port: z.int() }).parse(server.address());
    expect(await call(`https://127.0.0.1:${address.port}`)).toMatchObject({
      failure: { kind: "transient", errorClass: "ConnectionError" },
      rule: "unreachable",
      charge: "nothing",
    });
  });

  test("that breaks before the answer", async () => {
    const { url, bodies } = await endpoint((response) => response.socket?.resetAndDestroy());
    expect(await call(url)).toMatchObject({
      failure: { kind: "transient", errorClass: "ConnectionError" },
      charge: "estimate",
    });
    expect(bodies).toHaveLength(1);
  });

  test.each(["resetAndDestroy", "destroy"] as const)("that breaks within the answer by %s", async (way) => {
    const { url } = await endpoint((response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 100 });
      response.write('{"output":', () => response.socket?.[way]());
    });
    expect(await call(url)).toMatchObject({ failure: { errorClass: "ConnectionError" }, charge: "estimate" });
  });

  test("that ends cleanly within the answer", async () => {
    const { url } = await endpoint((response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"output":');
    });
    expect(await call(url)).toMatchObject({
      failure: { errorClass: "UnreadableAnswer" },
      charge: "estimate",
    });
  });

  test("to a server that does not speak TLS", async () => {
    const { url } = await endpoint((response) => sendAnswer(response));
    expect(await call(url.replace("http:", "https:"))).toMatchObject({
      failure: { kind: "transient", errorClass: "TlsError" },
      charge: "nothing",
    });
  });

  test("is used again", async () => {
    const sockets = new Set<unknown>();
    const { url } = await endpoint((response, request) => {
      sockets.add(request.socket);
      sendAnswer(response);
    });
    const bedrock = createBedrock({
      region: "us-east-1",
      endpoint: url,
      credentials: CREDENTIALS,
      maxConnections: 2,
      clock: Date.now,
    });
    onTestFinished(() => bedrock.close());
    const { signal } = new AbortController();
    for (let round = 0; round < 5; round += 1) {
      await bedrock.converse({ model: "m", request: REQUEST, jobId: "j", signal, timeoutMs: 5_000 });
    }
    expect(sockets.size).toBe(1);
  });
});

describe("time", () => {
  test.each([
    ["no word at all", () => undefined],
    [
      "half an answer",
      (response: Parameters<typeof sendAnswer>[0]) => void response.writeHead(200).write("{"),
    ],
  ])("a server with %s", async (_, answer) => {
    const { url } = await endpoint(answer);
    expect(await call(url, { timeoutMs: 80 })).toMatchObject({
      failure: { kind: "transient", errorClass: "TimeoutError", message: "No whole answer within 80 ms" },
      charge: "estimate",
    });
  });
});

const never = (): Promise<never> => new Promise(() => undefined);

describe("credentials that never come", () => {
  test("are given up after a time of their own, and are no time-out of the call", async () => {
    const { url, bodies } = await endpoint((response) => sendAnswer(response));
    const client = { credentials: never, credentialsTimeoutMs: 50 };
    expect(await call(url, {}, client)).toMatchObject({
      rule: "noCredentials",
      charge: "nothing",
    });
    expect(bodies).toHaveLength(0);
  });

  test("do not hold up our own signal", async () => {
    const { url } = await endpoint((response) => sendAnswer(response));
    const signal = AbortSignal.timeout(20);
    expect(await call(url, { signal }, { credentials: never })).toEqual({ type: "aborted" });
  });
});

describe("our own signal", () => {
  test("before the call: nothing is sent", async () => {
    const { url, bodies } = await endpoint((response) => sendAnswer(response));
    expect(await call(url, { signal: AbortSignal.abort() })).toEqual({ type: "aborted" });
    expect(bodies).toHaveLength(0);
  });

  test.each([
    ["before the headers", () => undefined],
    [
      "within the body",
      (response: Parameters<typeof sendAnswer>[0]) => void response.writeHead(200).write("{"),
    ],
  ])("%s: the request is cut", async (_, answer) => {
    const own = new AbortController();
    let closed: Promise<unknown> | undefined;
    const { url } = await endpoint((response) => {
      closed = new Promise((resolve) => {
        response.on("close", resolve);
      });
      answer(response);
      // Gives the first half of the body time to arrive.
      void sleep(20).then(() => own.abort());
    });
    expect(await call(url, { signal: own.signal })).toEqual({ type: "aborted" });
    await closed;
  });
});

const noCredentials = (): Promise<never> =>
  Promise.reject(
    Object.assign(new Error("Could not load credentials"), { name: "CredentialsProviderError" }),
  );

test("without credentials it is the machine's fault, not the job's", async () => {
  const { url, bodies } = await endpoint((response) => sendAnswer(response));
  expect(await call(url, {}, { credentials: noCredentials })).toMatchObject({
    failure: { kind: "systemic", errorClass: "CredentialsProviderError" },
    charge: "nothing",
  });
  expect(bodies).toHaveLength(0);
});

test.each(["127.0.0.1:4010", "nonsense"])("a call to %s was never sent", async (url) => {
  const result = await call(url);
  expect(result).toMatchObject({ type: "failed", rule: "unreachable", failure: { kind: "transient" } });
});
