import type { Simulation } from "../simulation.ts";
import { type Exchange, sendJson } from "../wire/exchange.ts";
import { parseJsonBody } from "../wire/parse.ts";
import { callModel, type Generation, type Target } from "./call-model.ts";
import { type ConverseBody, converseBodySchema, readConverse } from "./converse-request.ts";
import type { ModelRequest } from "./model-request.ts";

/** Converse: one request, one whole answer. */
export async function converse(
  simulation: Simulation,
  exchange: Exchange,
  target: Target,
  body: Buffer,
): Promise<void> {
  await callModel<ModelRequest & { body: ConverseBody }>(simulation, exchange, target, {
    read: (model) => {
      const parsed = parseJsonBody(converseBodySchema, body);
      return { ...readConverse(parsed, model), body: parsed };
    },
    reply: (request, generation) => sendJson(exchange, 200, converseResponse(request.body, generation)),
  });
}

function converseResponse(body: ConverseBody, generation: Generation): unknown {
  return {
    output: { message: { role: "assistant", content: [{ text: generation.text }] } },
    stopReason: generation.stopReason,
    usage: converseUsage(generation),
    metrics: { latencyMs: generation.latencyMs },
    ...echo(body),
  };
}

/** Usage as Converse reports it. */
export function converseUsage({ usage }: Generation): Record<string, number> {
  const { inputTokens, outputTokens, cacheReadInputTokens, cacheWriteInputTokens } = usage;
  const totalTokens = inputTokens + outputTokens + cacheReadInputTokens + cacheWriteInputTokens;
  return { inputTokens, outputTokens, totalTokens, cacheReadInputTokens, cacheWriteInputTokens };
}

/** What the service repeats of the request. */
export function echo({ performanceConfig, serviceTier }: ConverseBody): Record<string, unknown> {
  return {
    ...(performanceConfig && { performanceConfig: { latency: performanceConfig.latency } }),
    ...(serviceTier && { serviceTier: { type: serviceTier.type } }),
  };
}
