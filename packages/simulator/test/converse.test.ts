import {
  AccessDeniedException,
  ConverseCommand,
  ThrottlingException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Simulator, start } from "../src/index.ts";
import { ask, createClient, transports } from "./clients.ts";

const SONNET = "us.anthropic.claude-sonnet-4-6-v1:0";

let simulator: Simulator;

beforeEach(async () => {
  simulator = await start({ timeScale: 0, models: { "tiny.amazon.nova": { tokensPerMinute: 1_000 } } });
});

afterEach(async () => {
  await simulator.stop();
});

describe.each(transports)("Converse over %s", (transport) => {
  test("answers with text, usage and a request id", async () => {
    const client = createClient(simulator.url, { transport });
    const answer = await client.send(
      new ConverseCommand(ask(SONNET, "Why is the sky blue?", { inferenceConfig: { maxTokens: 200 } })),
    );
    const text = answer.output?.message?.content?.[0]?.text ?? "";
    expect(answer.stopReason).toBe("end_turn");
    expect(answer.usage).toMatchObject({ inputTokens: 5, outputTokens: Math.ceil(text.length / 4) });
    expect(answer.$metadata).toMatchObject({ httpStatusCode: 200, attempts: 1 });
    expect(answer.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/);
    client.destroy();
  });

  test("throws the SDK's own classes", async () => {
    const client = createClient(simulator.url, { transport });
    const send = (text: string): Promise<unknown> => client.send(new ConverseCommand(ask(SONNET, text)));
    await expect(send("  ")).rejects.toThrow(ValidationException);
    await expect(send("[[sim:AccessDeniedException]]")).rejects.toThrow(AccessDeniedException);
    await expect(send("[[sim:InternalServerException]]")).rejects.toMatchObject({
      name: "InternalServerException",
      $fault: "server",
      $metadata: { httpStatusCode: 500 },
    });
    client.destroy();
  });

  test("throttles by tokens in the words of the service", async () => {
    const client = createClient(simulator.url, { transport });
    const send = (maxTokens: number): Promise<unknown> =>
      client.send(new ConverseCommand(ask("tiny.amazon.nova", "Hello", { inferenceConfig: { maxTokens } })));
    const error = await send(2_000).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ThrottlingException);
    expect(error).toMatchObject({ message: "Too many tokens, please wait before trying again." });
    await expect(send(500)).resolves.toBeDefined();
    client.destroy();
  });
});

test("reserves input and max_tokens, settles by burndown", async () => {
  const client = createClient(simulator.url);
  const answer = await client.send(
    new ConverseCommand(
      ask(SONNET, "x".repeat(400), {
        inferenceConfig: { maxTokens: 100 },
        requestMetadata: { jobId: "job-1" },
      }),
    ),
  );
  const outputTokens = answer.usage?.outputTokens ?? 0;
  expect(simulator.calls().calls).toMatchObject([
    {
      seq: 1,
      requestId: answer.$metadata.requestId,
      operation: "Converse",
      region: "us-east-1",
      model: SONNET,
      attempt: 1,
      maxAttempts: 1,
      admitted: true,
      reservedTokens: 200,
      settledTokens: 100 + 5 * outputTokens,
      outcome: "completed",
      requestMetadata: { jobId: "job-1" },
    },
  ]);
  client.destroy();
});

test("a missing max_tokens reserves the model's maximum", async () => {
  const client = createClient(simulator.url);
  await client.send(new ConverseCommand(ask(SONNET, "Hello")));
  expect(simulator.calls().calls).toMatchObject([{ reservedTokens: 64_002 }]);
  client.destroy();
});

test("evidence shows the attempts that the SDK makes behind one send", async () => {
  const client = createClient(simulator.url, { maxAttempts: 2, transport: "HTTP/1.1" });
  const sent = client.send(new ConverseCommand(ask(SONNET, "[[sim:ServiceUnavailableException]]")));
  await expect(sent).rejects.toMatchObject({ name: "ServiceUnavailableException" });
  expect(simulator.calls().calls.map(({ attempt, maxAttempts }) => [attempt, maxAttempts])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  client.destroy();
});

test("a content filter is a 200 with a stop reason", async () => {
  const client = createClient(simulator.url);
  const answer = await client.send(new ConverseCommand(ask(SONNET, "Tell me [[sim:content_filtered]]")));
  expect(answer.stopReason).toBe("content_filtered");
  expect(simulator.calls().calls).toMatchObject([{ outcome: "filtered", stopReason: "content_filtered" }]);
  client.destroy();
});

test("a request without credentials is refused", async () => {
  const response = await fetch(`${simulator.url}/model/${encodeURIComponent(SONNET)}/converse`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ role: "user", content: [{ text: "Hello" }] }] }),
  });
  expect(response.status).toBe(403);
  expect(response.headers.get("x-amzn-errortype")).toMatch(/^MissingAuthenticationTokenException:/);
  expect(await response.json()).toEqual({ message: "Missing Authentication Token" });
});
