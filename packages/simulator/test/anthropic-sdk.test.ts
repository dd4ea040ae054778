/** Anthropic's own client: signs, frames and parses without the AWS SDK's client. */
import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";
import { afterEach, beforeEach, expect, test } from "vitest";
import { errorStatus, isServiceErrorName } from "@sluice/wire";
import { type Simulator, start } from "../src/index.ts";
import { failureOf } from "./failure.ts";

const SONNET = "us.anthropic.claude-sonnet-4-6-v1:0";
const errors = Object.keys(errorStatus).filter(isServiceErrorName);

let simulator: Simulator;

beforeEach(async () => {
  simulator = await start({ timeScale: 0 });
});

afterEach(async () => {
  await simulator.stop();
});

function connect(): AnthropicBedrock {
  return new AnthropicBedrock({
    baseURL: simulator.url,
    awsRegion: "eu-west-1",
    awsAccessKey: "AKIDEXAMPLE",
    awsSecretKey: "secret",
    apiKey: null,
    maxRetries: 0,
  });
}

function message(content: string) {
  return {
    model: SONNET,
    max_tokens: 300,
    messages: [{ role: "user" as const, content }],
  };
}

test("reads a whole answer", async () => {
  const answer = await connect().messages.create(message("Name three rivers."));
  expect(answer).toMatchObject({ type: "message", stop_reason: "end_turn", usage: { input_tokens: 5 } });
  expect(simulator.calls().calls).toMatchObject([{ operation: "InvokeModel", region: "eu-west-1" }]);
});

test("reads a stream to the same end", async () => {
  const client = connect();
  const whole = await client.messages.create(message("Name three rivers."));
  const streamed = await client.messages.stream(message("Name three rivers.")).finalMessage();
  expect(streamed.content).toMatchObject([
    { type: "text", text: Reflect.get(whole.content[0] ?? {}, "text") },
  ]);
  expect(streamed).toMatchObject({
    stop_reason: "end_turn",
    usage: { input_tokens: 5, output_tokens: whole.usage.output_tokens },
  });
});

test.each(errors)("understands %s", async (name) => {
  const client = connect();
  expect(await failureOf(client.messages.create(message(`[[sim:${name}]]`)))).toMatchObject({
    status: errorStatus[name],
  });
  expect(await failureOf(client.messages.stream(message(`[[sim:${name}]]`)).finalMessage())).toMatchObject({
    status: errorStatus[name],
  });
});

test("hears of an exception in mid-stream", async () => {
  const stream = connect().messages.stream(message("Go on. [[sim:ModelStreamErrorException@mid]]"));
  expect(await failureOf(stream.finalMessage())).toBeInstanceOf(Error);
});
