/** Errors that come as the body of a success, over the wire for every kind of call. */
import { FAILURES } from "@sluice/job";
import { describe, expect, onTestFinished, test } from "vitest";
import type { CallResult } from "../src/index.ts";
import { startEndpoint } from "./endpoint.ts";
import { kinds, open, SECRET, type Kind } from "./kinds.ts";
import { serving } from "./serving.ts";

const headers = { "content-type": "application/json", "x-amzn-requestid": "r-7" };

async function call(kind: Kind, body: unknown, more: Record<string, string> = {}): Promise<unknown> {
  const endpoint = await startEndpoint((response) => {
    response.writeHead(200, { ...headers, ...more }).end(JSON.stringify(body));
  });
  const bedrock = open(endpoint.url);
  onTestFinished(async () => {
    bedrock.close();
    await endpoint[Symbol.asyncDispose]();
  });
  const invocationArn = "arn:aws:bedrock:us-east-1:1:async-invoke/a";
  return kind.make(bedrock, { timeoutMs: 5_000, jobId: "m.bulk.1", invocationArn, onText: () => undefined });
}

const throttled = { kind: "throttled", errorClass: "ThrottlingException" };

/** What stands in the body, and the failure that it is. */
const errors: readonly (readonly [body: object, failure: object])[] = [
  [
    { message: "Too many requests, please wait before trying again." },
    { ...throttled, dimension: "requests" },
  ],
  [{ message: "Too many tokens, please wait before trying again." }, { ...throttled, dimension: "tokens" }],
  [{ Message: "Too many tokens per day, please wait." }, { ...throttled, dimension: "tokens-per-day" }],
  [
    { message: "Model x is currently overloaded. Please try again later." },
    { ...throttled, dimension: "capacity" },
  ],
  [{ message: "Too many connections, please wait." }, { errorClass: "ServiceUnavailableException" }],
  [
    { message: "The security token included in the request is expired" },
    { errorClass: "ExpiredTokenException" },
  ],
  [
    { message: "Malformed input request: #/messages: no" },
    { kind: "terminal", errorClass: "ValidationException" },
  ],
  [
    { __type: "com.amazon.bedrock#ThrottlingException", message: "Rate exceeded" },
    { ...throttled, dimension: "unknown" },
  ],
  [{ __type: "InternalFailure" }, { kind: "transient", errorClass: "InternalFailure" }],
  [
    { code: "AccessDeniedException", message: "No" },
    { kind: "systemic", errorClass: "AccessDeniedException" },
  ],
  [
    { Output: { __type: "com.amazon.coral.service#UnknownOperationException" }, Version: "1.0" },
    { kind: "systemic", errorClass: "UnknownOperationException", status: 404 },
  ],
  [
    { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    { kind: "transient", errorClass: "OverloadedException" },
  ],
  [{ error: { type: "rate_limit_error", message: "Slow down" } }, throttled],
  [{ error: { message: "Slow down", code: 429 } }, { kind: "throttled", status: 429 }],
  [{ error: "Internal server error" }, { kind: "transient", errorClass: "InternalServerException" }],
  [
    { object: "error", message: "No", type: "BadRequestError", param: null, code: 400 },
    { errorClass: "ValidationException" },
  ],
  [
    { message: "Gone", statusCode: "503" },
    { kind: "transient", errorClass: "HttpStatus503", status: 503 },
  ],
  [{ detail: "Too many requests" }, throttled],
];

describe.each(Object.entries<Kind>(kinds))("%s", (_, kind) => {
  test.each(errors)("%o", async (body, failure) => {
    expect(await call(kind, body)).toMatchObject({ failure: { ...failure, requestId: "r-7" } });
  });

  test("a refusal of that kind costs a request, and no tokens", async () => {
    expect(await call(kind, errors[0]?.[0])).toMatchObject({
      type: "failed",
      charge: "request",
      rule: "requestsThrottled",
    });
  });

  test("a name in the header, whatever the body", async () => {
    const more = { "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/" };
    expect(await call(kind, {}, more)).toMatchObject({ failure: throttled });
  });

  test("a content filter", async () => {
    const message = "This request has been blocked by our content filters.";
    expect(await call(kind, { message })).toMatchObject({ type: "filtered", answer: { text: "" } });
    const error = { message, type: "invalid_request_error", code: "content_filter" };
    expect(await call(kind, { error })).toMatchObject({ type: "filtered" });
  });

  test("an unknown one keeps its message, without what it quotes", async () => {
    const result = await call(kind, { error: { message: `Cannot do "${SECRET}"` } });
    expect(result).toMatchObject({ type: "failed", failure: { message: "Cannot do …" } });
    expect(JSON.stringify(result)).not.toContain(SECRET);
  });
});

async function invoke(body: unknown): Promise<CallResult> {
  const { bedrock } = await serving((response) => {
    response.writeHead(200, headers).end(JSON.stringify(body));
  });
  const { signal } = new AbortController();
  const request = { body: { prompt: "Hi" }, maxTokens: 20, stream: false };
  return bedrock.invoke({ model: "m", request, jobId: "m.bulk.1", signal, timeoutMs: 5_000 });
}

test.each([
  { type: "error", error: { type: "authentication_error", message: "invalid x-api-key" } },
  { error: { type: "permission_error", message: "Your API key does not have permission" } },
])(
  "what a model's server says of its own keys is about its model, not about our credentials: %o",
  async (body) => {
    const result = await invoke(body);
    expect(result).toMatchObject({ type: "failed", rule: "refusedInFront" });
    expect(FAILURES.refusedInFront.about).toBe("access");
  },
);

describe("a model's own body that has a message in it is its answer", () => {
  test.each([
    { message: "Hello! How can I help you today?" },
    { message: `It timed out. ${"And then it went on. ".repeat(20)}` },
    { message: "Too many requests, she thought.", finishReason: "stop" },
    {
      message: { role: "assistant", content: [{ type: "text", text: "Too many requests" }] },
      finish_reason: "COMPLETE",
    },
    { choices: [{ message: { content: "Too many requests" }, finish_reason: "stop" }] },
    { text: "Too many requests", message: "Too many requests" },
    { embedding: [0.1], message: null, inputTextTokenCount: 1 },
    { error: null, images: ["aGVsbG8="] },
    { type: "message", content: [{ type: "text", text: "Too many requests" }], stop_reason: "end_turn" },
  ])("%o", async (body) => {
    expect(await invoke(body)).toMatchObject({ type: "answered", answer: { body } });
  });

  test("plain text is one, where it says what it is", async () => {
    const { bedrock } = await serving((response) => {
      response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end("Hello there");
    });
    const { signal } = new AbortController();
    const request = { body: { prompt: "Hi" }, maxTokens: 20, stream: false };
    expect(
      await bedrock.invoke({ model: "m", request, jobId: "m.bulk.1", signal, timeoutMs: 5_000 }),
    ).toMatchObject({ type: "answered", answer: { body: "Hello there" }, usageEstimated: true });
  });
});
