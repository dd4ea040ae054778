/** Vercel's client: signs, frames and parses in its own way. */
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { errorStatus, isServiceErrorName } from "@sluice/wire";
import { type Simulator, start } from "../src/index.ts";
import { failureOf } from "./failure.ts";

const SONNET = "us.anthropic.claude-sonnet-4-6-v1:0";
const errors = Object.keys(errorStatus).filter(isServiceErrorName);

let simulator: Simulator;

beforeEach(async () => {
  // An API key of the machine would win over the credentials below, and names no Region.
  vi.stubEnv("AWS_BEARER_TOKEN_BEDROCK", undefined);
  simulator = await start({ timeScale: 0 });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await simulator.stop();
});

function connect() {
  return createAmazonBedrock({
    baseURL: simulator.url,
    region: "eu-west-1",
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: "secret",
  })(SONNET);
}

function options(text: string) {
  return {
    maxOutputTokens: 300,
    prompt: [{ role: "user" as const, content: [{ type: "text" as const, text }] }],
  };
}

test("reads a whole answer", async () => {
  const answer = await connect().doGenerate(options("Name three rivers."));
  expect(answer).toMatchObject({
    content: [{ type: "text" }],
    finishReason: { unified: "stop" },
    usage: { inputTokens: { total: 5 } },
  });
  expect(simulator.calls().calls).toMatchObject([{ operation: "Converse", region: "eu-west-1" }]);
});

test("reads a stream to the same end", async () => {
  const whole = await connect().doGenerate(options("Name three rivers."));
  const { stream } = await connect().doStream(options("Name three rivers."));
  let text = "";
  let finish: unknown;
  for await (const part of stream) {
    if (part.type === "text-delta") text += part.delta;
    if (part.type === "finish") finish = part;
  }
  expect(whole.content).toMatchObject([{ type: "text", text }]);
  expect(finish).toMatchObject({ finishReason: { unified: "stop" }, usage: whole.usage });
});

test.each(errors)("understands %s", async (name) => {
  expect(await failureOf(connect().doGenerate(options(`[[sim:${name}]]`)))).toMatchObject({
    statusCode: errorStatus[name],
  });
  expect(await failureOf(connect().doStream(options(`[[sim:${name}]]`)))).toMatchObject({
    statusCode: errorStatus[name],
  });
});

test("hears of an exception in mid-stream", async () => {
  const { stream } = await connect().doStream(options("Go on. [[sim:ModelStreamErrorException@mid]]"));
  const parts: string[] = [];
  for await (const part of stream) parts.push(part.type);
  expect(parts).toContain("error");
});
