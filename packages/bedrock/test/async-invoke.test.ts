import { start, type Clock as SimulatorClock, type Simulator } from "@sluice/simulator";
import { newJobId } from "@sluice/job";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BedrockCaller, PollResult, StartResult } from "../src/index.ts";
import { open } from "./kinds.ts";
import { serving } from "./serving.ts";

const REEL = "amazon.nova-reel-v1:1";
const START = Date.parse("2026-11-22T12:00:00Z");
const UNKNOWN_ARN = "arn:aws:bedrock:us-east-1:111122223333:async-invoke/abcdefghijkl";

const { signal } = new AbortController();

let now: number;
let simulator: Simulator;
let bedrock: BedrockCaller;

beforeEach(async () => {
  now = START;
  const clock: SimulatorClock = { now: () => now, sleep: () => Promise.resolve() };
  simulator = await start({
    clock,
    models: { [REEL]: { latency: { timeToFirstTokenMs: 30_000, sigma: 0 } } },
  });
  bedrock = open(simulator.url);
});

afterEach(async () => {
  bedrock.close();
  await simulator.stop();
});

async function begin(jobId: string, text = "waves", model = REEL): Promise<StartResult> {
  const modelInput = { taskType: "TEXT_VIDEO", textToVideoParams: { text } };
  const request = { modelInput, outputS3Uri: "s3://bucket/prefix" };
  return bedrock.startAsync({ model, request, jobId, signal, timeoutMs: 5_000 });
}

async function poll(started: StartResult | string, caller = bedrock): Promise<PollResult> {
  if (typeof started !== "string" && started.type !== "started")
    throw new Error(`Not started: ${started.type}`);
  const invocationArn = typeof started === "string" ? started : started.invocationArn;
  return caller.pollAsync({ invocationArn, signal, timeoutMs: 5_000 });
}

test("an invocation is in progress until its answer is in S3", async () => {
  const started = await begin("video.bulk.1");
  expect(await poll(started)).toEqual({ type: "in-progress" });
  now += 30_000;
  expect(await poll(started)).toEqual({
    type: "answered",
    answer: {
      text: "",
      s3Uri: "s3://bucket/prefix",
      stopReason: "Completed",
      model: REEL,
      usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
      latencyMs: 30_000,
    },
  });
});

test("the job's id is the token: the same job starts nothing twice, nor anything else", async () => {
  const first = await begin("video.bulk.1");
  expect(await begin("video.bulk.1")).toEqual(first);
  expect(await begin("video.bulk.2")).not.toEqual(first);
  expect(await begin("video.bulk.1", "clouds")).toMatchObject({
    type: "failed",
    failure: { kind: "terminal", errorClass: "ConflictException" },
  });
});

test("the longest id there can be is a token", async () => {
  const name = "x".repeat(48);
  const id = `${newJobId(name, name, now)}.r999999999`;
  expect(await begin(id)).toMatchObject({ type: "started" });
});

test("a model that has no async calls", async () => {
  expect(await begin("video.bulk.1", "waves", "us.amazon.nova-pro-v1:0")).toMatchObject({
    type: "failed",
    failure: { kind: "terminal", errorClass: "ValidationException" },
    charge: "request",
  });
});

test("an invocation that failed is over", async () => {
  const started = await begin("video.bulk.1", "waves [[sim:async-failure]]");
  now += 30_000;
  expect(await poll(started)).toEqual({
    type: "stopped",
    failure: {
      kind: "terminal",
      errorClass: "AsyncInvokeFailed",
      message: "The model could not process the input.",
      requestId: expect.any(String),
    },
  });
});

test.each(["ValidationException", "ResourceNotFoundException"])(
  "an ARN of nothing, by %s, is over",
  async (name) => {
    const { bedrock: caller } = await serving((response) => {
      response.writeHead(name === "ValidationException" ? 400 : 404, { "x-amzn-errortype": name });
      response.end('{"message":"The provided invocation ARN is invalid."}');
    });
    expect(await poll(UNKNOWN_ARN, caller)).toMatchObject({
      type: "stopped",
      failure: { kind: "terminal", errorClass: name },
    });
  },
);

test("what the simulator says of an ARN of nothing", async () => {
  expect(await poll(UNKNOWN_ARN)).toMatchObject({ type: "stopped", failure: { kind: "terminal" } });
});

/** Polls an endpoint that answers with this body. */
async function polled(body: object): Promise<PollResult> {
  const { bedrock: caller } = await serving((response) => {
    response.writeHead(200, { "content-type": "application/json", "x-amzn-requestid": "r-7" });
    response.end(JSON.stringify(body));
  });
  return poll(UNKNOWN_ARN, caller);
}

describe("an answer to a poll", () => {
  test("with a state nobody has documented is an end", async () => {
    expect(await polled({ status: "Stopped" })).toEqual({
      type: "stopped",
      failure: { kind: "terminal", errorClass: "AsyncInvokeStopped", message: "", requestId: "r-7" },
    });
  });

  test("with a filter's words is filtered", async () => {
    const modelArn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-reel-v1:1";
    const failureMessage = "This request has been blocked by our content filters.";
    expect(await polled({ status: "Failed", modelArn, failureMessage })).toMatchObject({
      type: "filtered",
      answer: { stopReason: "content_filtered", model: REEL, text: "" },
    });
  });

  test("that quotes the prompt does not pass it on", async () => {
    const result = await polled({ status: "Failed", failureMessage: "Cannot draw 'my secret'" });
    expect(result).toMatchObject({ type: "stopped", failure: { message: "Cannot draw …" } });
  });

  test.each([
    ["no state", {}],
    ["a state that is no text", { status: 7 }],
    ["an end without a place", { status: "Completed" }],
  ])("with %s says nothing about the invocation", async (_, body) => {
    expect(await polled(body)).toMatchObject({
      type: "failed",
      failure: { kind: "transient", errorClass: "UnreadableAnswer" },
    });
  });

  test("of a profile of one's own names its ARN", async () => {
    const modelArn = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/a1b2c3";
    const outputDataConfig = { s3OutputDataConfig: { s3Uri: "s3://bucket/there" } };
    expect(await polled({ status: "Completed", modelArn, outputDataConfig })).toMatchObject({
      type: "answered",
      answer: { model: modelArn, s3Uri: "s3://bucket/there", latencyMs: 0 },
    });
  });
});

test("a start that says nothing of its invocation", async () => {
  const { bedrock: caller } = await serving((response) => void response.writeHead(200).end("{}"));
  const request = { modelInput: {}, outputS3Uri: "s3://bucket" };
  expect(
    await caller.startAsync({ model: REEL, request, jobId: "j", signal, timeoutMs: 5_000 }),
  ).toMatchObject({
    type: "failed",
    failure: { errorClass: "UnreadableAnswer" },
  });
});

test("our own signal ends both", async () => {
  const aborted = { signal: AbortSignal.abort(), timeoutMs: 5_000 };
  const request = { modelInput: {}, outputS3Uri: "s3://bucket" };
  expect(await bedrock.startAsync({ ...aborted, model: REEL, request, jobId: "j" })).toEqual({
    type: "aborted",
  });
  expect(await bedrock.pollAsync({ ...aborted, invocationArn: UNKNOWN_ARN })).toEqual({ type: "aborted" });
  expect(simulator.calls().calls).toEqual([]);
});
