/** Against the simulator: quotas, filters and marked faults, with its own evidence that one call is one request. */
import { start, type ModelTable, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { createEstimator, settled } from "../src/estimate/index.ts";
import { createBedrock, type BedrockCaller, type CallResult } from "../src/index.ts";

const FREE = "us.anthropic.claude-sonnet-4-6-v1:0";
const ONE_REQUEST = "amazon.nova-pro-v1:0";
const FEW_TOKENS = "amazon.nova-lite-v1:0";
const NO_QUOTA = "amazon.nova-micro-v1:0";

const models: ModelTable = {
  [FREE]: { tokensPerMinute: 10_000_000, requestsPerMinute: null, burndown: 5 },
  [ONE_REQUEST]: { tokensPerMinute: 1_000_000, requestsPerMinute: 1 },
  [FEW_TOKENS]: { tokensPerMinute: 50 },
  [NO_QUOTA]: { tokensPerMinute: 0 },
};

const unattended = new AbortController().signal;

let simulator: Simulator;
let bedrock: BedrockCaller;

beforeAll(async () => {
  simulator = await start({ models, timeScale: 0 });
  bedrock = open(simulator);
});

afterAll(async () => {
  bedrock.close();
  await simulator.stop();
});

function open({ url }: Simulator): BedrockCaller {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  return createBedrock({
    region: "us-east-1",
    endpoint: url,
    credentials,
    maxConnections: 8,
    clock: Date.now,
  });
}

function ask(model: string, text: string, jobId = "claude.bulk.1"): Promise<CallResult> {
  const request = { messages: [{ role: "user" as const, content: [{ text }] }], maxTokens: 200 };
  return bedrock.converse({ model, request, jobId, signal: unattended, timeoutMs: 5_000 });
}

const callsSchema = z.object({
  calls: z.array(
    z.object({
      requestMetadata: z.object({ jobId: z.string() }).nullable(),
      reservedTokens: z.number(),
      settledTokens: z.number(),
      attempt: z.number(),
      maxAttempts: z.number(),
    }),
  ),
});

/** What the simulator knows about the calls of a job. */
async function evidence(jobId: string): Promise<z.infer<typeof callsSchema>["calls"]> {
  const response = await fetch(`${simulator.url}/_sim/calls?limit=10000`);
  const { calls } = callsSchema.parse(await response.json());
  return calls.filter((seen) => seen.requestMetadata?.jobId === jobId);
}

describe("an answer", () => {
  test("costs what the simulator says it costs, and one request", async () => {
    const text = "Explain how a sluice lets through as much water as the channel carries.";
    const result = await ask(FREE, text, "claude.bulk.answered");
    if (result.type !== "answered") throw new Error(`Expected an answer, got ${JSON.stringify(result)}`);
    expect(result.answer).toMatchObject({ model: FREE, text: expect.stringMatching(/\w/) });
    const [seen, ...others] = await evidence("claude.bulk.answered");
    expect(others).toEqual([]);
    expect(seen).toMatchObject({
      settledTokens: settled(result.answer.usage, 5),
      attempt: 1,
      maxAttempts: 1,
    });
    const request = { messages: [{ role: "user" as const, content: [{ text }] }], maxTokens: 200 };
    const estimator = createEstimator({ burndown: 5 });
    expect(estimator.reserve(request).tokens).toBeGreaterThanOrEqual(seen?.reservedTokens ?? Infinity);
  });

  test.each(["content_filtered", "guardrail_intervened"])(
    "stopped by %s is filtered and billed",
    async (stop) => {
      const result = await ask(FREE, `Tell me a secret [[sim:${stop}]]`, `claude.bulk.${stop}`);
      expect(result).toMatchObject({ type: "filtered", answer: { stopReason: stop } });
      const usage = result.type === "filtered" ? result.answer.usage : undefined;
      const [seen] = await evidence(`claude.bulk.${stop}`);
      expect(seen).toMatchObject({ settledTokens: usage && settled(usage, 5) });
    },
  );
});

describe("a quota that is used up", () => {
  test("of requests", async () => {
    await ask(ONE_REQUEST, "First");
    expect(await ask(ONE_REQUEST, "Second")).toMatchObject({
      failure: { kind: "throttled", dimension: "requests" },
      charge: "request",
    });
  });

  test.each([
    [FEW_TOKENS, "tokens"],
    [NO_QUOTA, "tokens-per-day"],
  ])("of %s", async (model, dimension) => {
    expect(await ask(model, "Too much")).toMatchObject({ failure: { kind: "throttled", dimension } });
  });
});

test.each([
  ["ThrottlingException", "throttled"],
  ["ModelNotReadyException", "throttled"],
  ["ServiceUnavailableException", "transient"],
  ["InternalServerException", "transient"],
  ["ModelTimeoutException", "transient"],
  ["ModelErrorException", "transient"],
  ["ModelStreamErrorException", "transient"],
  ["ValidationException", "terminal"],
  ["AccessDeniedException", "systemic"],
  ["ResourceNotFoundException", "systemic"],
  ["ServiceQuotaExceededException", "throttled"],
  ["OverloadedException", "transient"],
])("%s is asked for once", async (name, kind) => {
  const jobId = `claude.bulk.${name}`;
  const result = await ask(FREE, `Fail, please [[sim:${name}]]`, jobId);
  expect(result).toMatchObject({ type: "failed", failure: { kind, errorClass: name } });
  expect(await evidence(jobId)).toHaveLength(1);
});

test("a model nobody has", async () => {
  expect(await ask("nobody.has-this-v1:0", "Hello")).toMatchObject({
    type: "failed",
    failure: { kind: "systemic" },
  });
});

test("an endpoint that has gone", async () => {
  const other = await start({ models });
  const caller = open(other);
  onTestFinished(() => caller.close());
  await other.stop();
  const request = { messages: [{ role: "user" as const, content: [{ text: "Hello" }] }], maxTokens: 1 };
  const call = { model: FREE, request, jobId: "claude.bulk.gone", signal: unattended, timeoutMs: 5_000 };
  expect(await caller.converse(call)).toMatchObject({
    failure: { errorClass: "ConnectionError" },
    charge: "nothing",
  });
});
