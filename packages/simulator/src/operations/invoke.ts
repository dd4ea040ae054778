/** InvokeModel and InvokeModelWithResponseStream: the model's own body, options in headers. */
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { checkBody, type Frame, invalid, padded, readJson, ServiceError } from "@sluice/wire";
import { anthropicFormat } from "../dialects/anthropic.ts";
import type { BodyFormat, Invocation } from "../dialects/body-format.ts";
import { cohereEmbeddingFormat, titanEmbeddingFormat } from "../dialects/embeddings.ts";
import { novaFormat } from "../dialects/nova.ts";
import { openAiFormat } from "../dialects/openai.ts";
import { cohereFormat, llamaFormat, mistralFormat, titanTextFormat } from "../dialects/prompted.ts";
import { matchesPattern } from "../models/find.ts";
import type { Model } from "../models/model.ts";
import type { ModelRequest } from "../dialects/model-request.ts";
import { without } from "../dialects/omit.ts";
import type { Generation, Read } from "../dialects/reply.ts";

const formats: readonly (readonly [pattern: string, format: BodyFormat])[] = [
  ["*anthropic.*", anthropicFormat],
  ["*amazon.nova*", novaFormat],
  ["*amazon.titan-embed*", titanEmbeddingFormat],
  ["*amazon.titan-text*", titanTextFormat],
  ["*meta.llama*", llamaFormat],
  ["*mistral.*", mistralFormat],
  ["*cohere.command*", cohereFormat],
  ...["*ai21.*", "*deepseek.*", "*openai.*", "*qwen.*", "*writer.*"].map(
    (pattern) => [pattern, openAiFormat] as const,
  ),
  ["*cohere.embed*", cohereEmbeddingFormat],
];

const metadataSchema = z.record(z.string(), z.string());

/** Reads an InvokeModel request. */
export function invokeModel(body: Buffer, modelId: string, headers: IncomingHttpHeaders): Read {
  return (model) => {
    const invocation = readInvocation(body, model, modelId);
    return {
      request: withMetadata(invocation.request, headers),
      reply: {
        kind: "whole",
        render: (generation) => ({
          body: without(invocation.whole(generation), generation.omit),
          headers: {
            ...tokenCounts(generation),
            "x-amzn-bedrock-invocation-latency": generation.latencyMs,
            ...echoed(headers),
          },
        }),
      },
    };
  };
}

/** Reads an InvokeModelWithResponseStream request. */
export function invokeModelWithResponseStream(
  body: Buffer,
  modelId: string,
  headers: IncomingHttpHeaders,
): Read {
  return (model) => {
    const { request, stream } = readInvocation(body, model, modelId);
    if (stream === undefined) throw invalid(`The model ${modelId} does not support response streaming.`);
    return {
      request: withMetadata(request, headers),
      reply: {
        kind: "stream",
        headers: { "x-amzn-bedrock-content-type": "application/json", ...echoed(headers) },
        open: (input) => stream.open(input).map(chunk),
        delta: (text) => stream.delta(text).map(chunk),
        close: (generation) => {
          const chunks = stream.close(generation);
          const last = { ...chunks.at(-1), ...invocationMetrics(generation) };
          return [...chunks.slice(0, -1), last].map((each) => chunk(without(each, generation.omit)));
        },
      },
    };
  };
}

/** A native body outside of an invocation, for CountTokens. */
export function readInvocation(body: Buffer, model: Model, modelId: string): Invocation {
  const format = formats.find(([pattern]) => matchesPattern(pattern, modelId))?.[1];
  if (format === undefined) {
    throw invalid(
      `The simulator has no native body for ${modelId}: use Converse, or a model of another family.`,
    );
  }
  return format.read(readModelJson(body), model, modelId);
}

function readModelJson(body: Buffer): unknown {
  try {
    return readJson(body);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw invalid("Malformed input request, please reformat your input and try again.");
  }
}

function withMetadata(request: ModelRequest, headers: IncomingHttpHeaders): ModelRequest {
  const text = headers["x-amzn-bedrock-request-metadata"];
  if (text === undefined) return request;
  return { ...request, metadata: checkBody(metadataSchema, readJson(Buffer.from(String(text)))) };
}

/** What the service repeats of the request. */
function echoed(headers: IncomingHttpHeaders): Record<string, string> {
  const names = ["x-amzn-bedrock-service-tier", "x-amzn-bedrock-performanceconfig-latency"];
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}

function tokenCounts({ usage, omit }: Generation): Record<string, number> {
  if (omit.includes("usage")) return {};
  return {
    "x-amzn-bedrock-input-token-count": usage.inputTokens,
    "x-amzn-bedrock-output-token-count": usage.outputTokens,
  };
}

function invocationMetrics({ usage, firstTokenMs, latencyMs }: Generation): Record<string, unknown> {
  return {
    "amazon-bedrock-invocationMetrics": {
      inputTokenCount: usage.inputTokens,
      outputTokenCount: usage.outputTokens,
      invocationLatency: latencyMs,
      firstByteLatency: firstTokenMs,
    },
  };
}

function chunk(payload: unknown): Frame {
  const bytes = Buffer.from(JSON.stringify(payload)).toString("base64");
  return { kind: "event", name: "chunk", payload: padded({ bytes }) };
}
