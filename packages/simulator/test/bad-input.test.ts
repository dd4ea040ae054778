/** Requests that no SDK would send, answered as the service does. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Simulator, start } from "../src/index.ts";

const SONNET = "us.anthropic.claude-sonnet-4-6-v1:0";
const messages = [{ role: "user", content: [{ text: "Hello" }] }];

let simulator: Simulator;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
});

afterAll(async () => {
  await simulator.stop();
});

interface Answer {
  readonly status: number;
  readonly error: string | undefined;
  readonly message: string | undefined;
}

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  authorization = "Bearer key",
): Promise<Answer> {
  const response = await fetch(simulator.url + path, {
    method: "POST",
    headers: authorization === "" ? {} : { authorization },
    body,
  });
  const { message }: { message?: string } = JSON.parse(await response.text());
  return { status: response.status, error: response.headers.get("x-amzn-errortype")?.split(":")[0], message };
}

async function converse(body: unknown, modelId = SONNET): Promise<Answer> {
  return post(`/model/${encodeURIComponent(modelId)}/converse`, JSON.stringify(body));
}

describe("Converse refuses", () => {
  test.each([
    ["no messages", {}, /A conversation must start with a user message/],
    [
      "an assistant that begins",
      { messages: [{ role: "assistant", content: [{ text: "Hi" }] }] },
      /must start with a user/,
    ],
    ["empty content", { messages: [{ role: "user", content: [] }] }, /messages\.0 is empty/],
    [
      "blank text",
      { messages: [{ role: "user", content: [{ text: " " }] }] },
      /messages\.0\.content\.0 is blank/,
    ],
    [
      "negative maxTokens",
      { messages, inferenceConfig: { maxTokens: -5 } },
      "1 validation error detected: Value '-5' at 'inferenceConfig.maxTokens' failed to satisfy constraint: " +
        "Member must have value greater than or equal to 1",
    ],
    [
      "maxTokens above the model's",
      { messages, inferenceConfig: { maxTokens: 64_001 } },
      /exceeds the model limit of 64000/,
    ],
    [
      "a temperature out of range",
      { messages, inferenceConfig: { temperature: 1.5 } },
      /less than or equal to 1/,
    ],
    [
      "input that is too long",
      { messages: [{ role: "user", content: [{ text: "x".repeat(900_000) }] }] },
      /Input is too long/,
    ],
  ])("%s", async (_name, body, message) => {
    expect(await converse(body)).toEqual({
      status: 400,
      error: "ValidationException",
      message: expect.stringMatching(message),
    });
  });

  test("a value of the wrong type", async () => {
    expect(await converse({ messages, inferenceConfig: { maxTokens: "many" } })).toMatchObject({
      status: 400,
      error: "SerializationException",
      message: expect.stringContaining("STRING_VALUE can not be converted to"),
    });
  });

  test("malformed JSON", async () => {
    expect(await post(`/model/${SONNET}/converse`, '{"messages": [')).toMatchObject({
      status: 400,
      error: "SerializationException",
    });
  });

  test.each([
    "nonsense",
    "acme.unheard-of",
    "constructor",
    "arn:aws:bedrock:us-east-1::foundation-model/nothing",
  ])("the unknown model %s", async (modelId) => {
    expect(await converse({ messages }, modelId)).toEqual({
      status: 400,
      error: "ValidationException",
      message: "The provided model identifier is invalid.",
    });
  });

  test("a body above the limit, having read it to its end", async () => {
    expect(await post(`/model/${SONNET}/converse`, new Uint8Array(25_000_001))).toMatchObject({
      status: 400,
      error: "ValidationException",
    });
  });
});

test.each([
  ["", 403, "MissingAuthenticationTokenException"],
  ["Basic abc", 403, "AccessDeniedException"],
  ["AWS4-HMAC-SHA256 Credential=AKID", 400, "IncompleteSignature"],
])("credentials %j answer %d %s", async (authorization, status, error) => {
  expect(await post(`/model/${SONNET}/converse`, JSON.stringify({ messages }), authorization)).toMatchObject({
    status,
    error,
  });
});

test("an unknown operation is 404", async () => {
  expect(await post(`/model/${SONNET}/sing`, "{}")).toMatchObject({
    status: 404,
    error: "UnknownOperationException",
  });
});
