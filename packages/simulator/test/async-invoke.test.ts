import {
  ConflictException,
  GetAsyncInvokeCommand,
  ListAsyncInvokesCommand,
  type ListAsyncInvokesCommandInput,
  StartAsyncInvokeCommand,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Clock, type Simulator, start } from "../src/index.ts";
import { createClient } from "./clients.ts";

const REEL = "amazon.nova-reel-v1:1";
const START = Date.parse("2026-11-22T12:00:00Z");

let now: number;
let simulator: Simulator;
let client: ReturnType<typeof createClient>;

beforeEach(async () => {
  now = START;
  const clock: Clock = { now: () => now, sleep: () => Promise.resolve() };
  simulator = await start({
    clock,
    models: { [REEL]: { latency: { timeToFirstTokenMs: 30_000, sigma: 0 } } },
  });
  client = createClient(simulator.url);
});

afterEach(async () => {
  client.destroy();
  await simulator.stop();
});

async function begin(text: string, clientRequestToken?: string, modelId = REEL): Promise<string> {
  const { invocationArn = "" } = await client.send(
    new StartAsyncInvokeCommand({
      modelId,
      modelInput: { taskType: "TEXT_VIDEO", textToVideoParams: { text } },
      outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/prefix" } },
      ...(clientRequestToken !== undefined && { clientRequestToken }),
    }),
  );
  return invocationArn;
}

/** ARNs of one page and its token. */
async function arns(input: ListAsyncInvokesCommandInput): Promise<unknown[]> {
  const { asyncInvokeSummaries = [], nextToken } = await client.send(new ListAsyncInvokesCommand(input));
  return [...asyncInvokeSummaries.map(({ invocationArn }) => invocationArn), nextToken];
}

test("runs for the time of its model, then is completed", async () => {
  const invocationArn = await begin("waves", "job-1");
  const get = () => client.send(new GetAsyncInvokeCommand({ invocationArn }));
  expect(await get()).toMatchObject({
    status: "InProgress",
    clientRequestToken: "job-1",
    submitTime: new Date(START),
    outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/prefix" } },
  });
  now += 29_999;
  expect(await get()).toMatchObject({ status: "InProgress" });
  now += 1;
  expect(await get()).toMatchObject({ status: "Completed", endTime: new Date(START + 30_000) });
});

test("may fail later, on demand", async () => {
  const invocationArn = await begin("waves [[sim:async-failure]]");
  now += 30_000;
  expect(await client.send(new GetAsyncInvokeCommand({ invocationArn }))).toMatchObject({
    status: "Failed",
    failureMessage: expect.any(String),
  });
});

test("the same token starts nothing twice, and another request with it is a conflict", async () => {
  const first = await begin("waves", "job-1");
  expect(await begin("waves", "job-1")).toBe(first);
  await expect(begin("clouds", "job-1")).rejects.toThrow(ConflictException);
  expect(await begin("clouds", "job-2")).not.toBe(first);
});

test("is not for text models, and an unknown ARN is refused", async () => {
  await expect(begin("waves", undefined, "us.amazon.nova-pro-v1:0")).rejects.toThrow(
    "The provided model doesn't support async inference.",
  );
  const invocationArn = "arn:aws:bedrock:us-east-1:111122223333:async-invoke/abcdefghijkl";
  await expect(client.send(new GetAsyncInvokeCommand({ invocationArn }))).rejects.toThrow(
    ValidationException,
  );
});

test("are listed by status, newest first, in pages", async () => {
  const first = await begin("one");
  now += 20_000;
  const second = await begin("two");
  const third = await begin("three");
  now += 10_000;
  expect(await arns({})).toEqual([third, second, first, undefined]);
  expect(await arns({ statusEquals: "Completed" })).toEqual([first, undefined]);
  expect(await arns({ submitTimeAfter: new Date(START + 1) })).toEqual([third, second, undefined]);
  expect(await arns({ maxResults: 2 })).toEqual([third, second, "2"]);
  expect(await arns({ maxResults: 2, nextToken: "2" })).toEqual([first, undefined]);
});
