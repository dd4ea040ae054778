import {
  ApplyGuardrailCommand,
  ConverseCommand,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ModelTimeoutException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Simulator, start } from "../src/index.ts";
import { createClient, transports } from "./clients.ts";

const SONNET = "us.anthropic.claude-sonnet-4-6-v1:0";
const NOVA = "us.amazon.nova-lite-v1:0";

let simulator: Simulator;

beforeEach(async () => {
  simulator = await start({ timeScale: 0 });
});

afterEach(async () => {
  await simulator.stop();
});

const claudeBody = (text: string): string =>
  JSON.stringify({
    anthropic_version: "bedrock-2023-05-31",
    max_tokens: 300,
    messages: [{ role: "user", content: text }],
  });

const novaBody = (text: string): string =>
  JSON.stringify({
    messages: [{ role: "user", content: [{ text }] }],
    inferenceConfig: { max_new_tokens: 300 },
  });

/** Cosine of two vectors of length 1. */
function likeness(left: readonly number[] = [], right: readonly number[] = []): number {
  return left.reduce((sum, component, index) => sum + component * (right[index] ?? 0), 0);
}

interface ClaudeAnswer {
  content: { text: string }[];
  usage: { output_tokens: number };
}

interface ClaudeChunk {
  type: string;
  delta?: { text?: string };
  "amazon-bedrock-invocationMetrics"?: unknown;
}

interface NovaAnswer {
  output: { message: { content: { text: string }[] } };
  usage: unknown;
}

interface NovaChunk {
  contentBlockDelta?: { delta: { text: string } };
  metadata?: { usage: unknown };
}

interface TitanEmbedding {
  embedding: number[];
  inputTextTokenCount: number;
}

describe.each(transports)("InvokeModel over %s", (transport) => {
  const invoke = async <Answer>(modelId: string, body: string): Promise<Answer> => {
    const client = createClient(simulator.url, { transport });
    try {
      const response = await client.send(new InvokeModelCommand({ modelId, body }));
      return JSON.parse(new TextDecoder().decode(response.body));
    } finally {
      client.destroy();
    }
  };

  const invokeStream = async <Chunk>(modelId: string, body: string): Promise<Chunk[]> => {
    const client = createClient(simulator.url, { transport });
    try {
      const response = await client.send(new InvokeModelWithResponseStreamCommand({ modelId, body }));
      const chunks: Chunk[] = [];
      for await (const { chunk } of response.body ?? [])
        chunks.push(JSON.parse(new TextDecoder().decode(chunk?.bytes)));
      return chunks;
    } finally {
      client.destroy();
    }
  };

  test("speaks Anthropic Messages", async () => {
    const answer = await invoke<ClaudeAnswer>(SONNET, claudeBody("Name three rivers."));
    expect(answer).toMatchObject({
      type: "message",
      role: "assistant",
      content: [{ type: "text" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 5 },
    });
    const chunks = await invokeStream<ClaudeChunk>(SONNET, claudeBody("Name three rivers."));
    expect(chunks.map(({ delta }) => delta?.text ?? "").join("")).toBe(answer.content[0]?.text);
    expect([...new Set(chunks.map(({ type }) => type))]).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    expect(chunks.at(-1)?.["amazon-bedrock-invocationMetrics"]).toMatchObject({
      inputTokenCount: 5,
      outputTokenCount: answer.usage.output_tokens,
    });
  });

  test("speaks Nova", async () => {
    const answer = await invoke<NovaAnswer>(NOVA, novaBody("Name three rivers."));
    expect(answer).toMatchObject({ stopReason: "end_turn", usage: { inputTokens: 5 } });
    const chunks = await invokeStream<NovaChunk>(NOVA, novaBody("Name three rivers."));
    const text = chunks.map(({ contentBlockDelta }) => contentBlockDelta?.delta.text ?? "").join("");
    expect(text).toBe(answer.output.message.content[0]?.text);
    expect(chunks.at(-1)?.metadata?.usage).toEqual(answer.usage);
  });

  test("embeds: the same text the same way, a related one nearby", async () => {
    const titan = (inputText: string): Promise<TitanEmbedding> =>
      invoke("amazon.titan-embed-text-v2:0", JSON.stringify({ inputText, dimensions: 256 }));
    const [river, again, stream, tax] = await Promise.all(
      ["a wide river", "a wide river", "a wide stream", "income tax forms"].map(titan),
    );
    expect(river).toEqual(again);
    expect(river).toMatchObject({ inputTextTokenCount: 3 });
    expect(likeness(river?.embedding, stream?.embedding)).toBeGreaterThan(
      likeness(river?.embedding, tax?.embedding),
    );

    const cohere = await invoke<{ embeddings: number[][] }>(
      "cohere.embed-english-v3",
      JSON.stringify({ texts: ["one", "two"], input_type: "search_query" }),
    );
    expect(cohere.embeddings.map((vector) => vector.length)).toEqual([1_024, 1_024]);
    expect(simulator.calls().calls.every(({ outputTokens }) => outputTokens === 0)).toBe(true);
  });

  test("refuses what the model would refuse", async () => {
    await expect(invoke(SONNET, "{")).rejects.toThrow(ValidationException);
    await expect(invoke(SONNET, JSON.stringify({ messages: [] }))).rejects.toThrow(
      /Malformed input request: #\//,
    );
    await expect(invoke("amazon.titan-image-generator-v2:0", "{}")).rejects.toThrow(/use Converse/);
    await expect(invoke("anthropic.claude-sonnet-4-6-v1:0", claudeBody("Hi"))).rejects.toThrow(
      /with on-demand throughput isn’t supported/,
    );
    await expect(invokeStream("amazon.titan-embed-text-v2:0", '{"inputText":"x"}')).rejects.toThrow(
      /does not support response streaming/,
    );
  });

  test("models the timeout in its stream, unlike ConverseStream", async () => {
    await expect(
      invokeStream(SONNET, claudeBody("Go on. [[sim:ModelTimeoutException@mid]]")),
    ).rejects.toThrow(ModelTimeoutException);
  });

  test("says a filter as a refusal and a guardrail in a flag", async () => {
    expect(await invoke(SONNET, claudeBody("[[sim:content_filtered]] Hello"))).toMatchObject({
      stop_reason: "refusal",
    });
    expect(await invoke(SONNET, claudeBody("[[sim:guardrail_intervened]] Hello"))).toMatchObject({
      stop_reason: "end_turn",
      "amazon-bedrock-guardrailAction": "INTERVENED",
    });
  });
});

test("InvokeModel reports tokens in headers and takes metadata from one", async () => {
  const response = await fetch(`${simulator.url}/model/${encodeURIComponent(SONNET)}/invoke`, {
    method: "POST",
    headers: { authorization: "Bearer key", "x-amzn-bedrock-request-metadata": '{"jobId":"job-1"}' },
    body: claudeBody("Name three rivers."),
  });
  expect(response.headers.get("x-amzn-bedrock-input-token-count")).toBe("5");
  expect(simulator.calls().calls).toMatchObject([{ requestMetadata: { jobId: "job-1" } }]);
});

test("CountTokens agrees with the usage of the call itself, and is free", async () => {
  const client = createClient(simulator.url);
  const messages = [{ role: "user" as const, content: [{ text: "Name three rivers." }] }];
  const system = [{ text: "Be brief." }];
  const asConverse = await client.send(
    new CountTokensCommand({ modelId: SONNET, input: { converse: { messages, system } } }),
  );
  const asBody = await client.send(
    new CountTokensCommand({
      modelId: SONNET,
      input: { invokeModel: { body: new TextEncoder().encode(claudeBody("Name three rivers.")) } },
    }),
  );
  expect([asConverse.inputTokens, asBody.inputTokens]).toEqual([8, 5]);
  expect(simulator.calls().calls).toMatchObject([
    { operation: "CountTokens", admitted: false, outcome: "completed" },
    { operation: "CountTokens", admitted: false, outcome: "completed" },
  ]);
  client.destroy();
});

test("cached prefixes are written once, then read, and read for free", async () => {
  const client = createClient(simulator.url);
  const send = () =>
    client.send(
      new ConverseCommand({
        modelId: SONNET,
        system: [{ text: "x".repeat(8_000) }, { cachePoint: { type: "default" } }],
        messages: [{ role: "user", content: [{ text: "Hello" }] }],
        inferenceConfig: { maxTokens: 50 },
      }),
    );
  const [first, second] = [await send(), await send()];
  expect(first.usage).toMatchObject({
    inputTokens: 2,
    cacheWriteInputTokens: 2_000,
    cacheReadInputTokens: 0,
  });
  expect(second.usage).toMatchObject({
    inputTokens: 2,
    cacheWriteInputTokens: 0,
    cacheReadInputTokens: 2_000,
  });
  const [written, read] = simulator.calls().calls;
  expect(written).toMatchObject({
    reservedTokens: 2_052,
    settledTokens: 2_002 + 5 * (written?.outputTokens ?? 0),
  });
  expect(read).toMatchObject({ reservedTokens: 2_052, settledTokens: 2 + 5 * (read?.outputTokens ?? 0) });
  client.destroy();
});

test("ApplyGuardrail passes text on, or blocks it by a marker", async () => {
  const client = createClient(simulator.url);
  const apply = async (text: string): Promise<string | undefined> => {
    const answer = await client.send(
      new ApplyGuardrailCommand({
        guardrailIdentifier: "gr-1",
        guardrailVersion: "1",
        source: "INPUT",
        content: [{ text: { text } }],
      }),
    );
    return answer.action;
  };
  expect(await apply("Hello")).toBe("NONE");
  expect(await apply("[[sim:guardrail_intervened]]")).toBe("GUARDRAIL_INTERVENED");
  client.destroy();
});
