/** The way of one model call: read it, look for a fault, admit it, let the answer grow, settle, record. */
import {
  callerKey,
  type Exchange,
  invalid,
  sendError,
  sendHtml,
  sendAnswer,
  ServiceError,
} from "@sluice/wire";
import { composeAnswer } from "../answer/answer.ts";
import { countTokens } from "../answer/tokens.ts";
import type { Fault } from "../faults/fault.ts";
import { isModelFailure } from "../faults/raise.ts";
import { FAULT_HEADER } from "../faults/script.ts";
import type { Simulation } from "../simulation.ts";
import { hang, resetNow } from "./break-off.ts";
import { deliverStream } from "./deliver-stream.ts";
import { deliverWhole } from "./deliver-whole.ts";
import { type Answer, raiseIn } from "./delivery.ts";
import { measureInput, tokensOf, touchPrefix } from "../dialects/input-usage.ts";
import { promptText } from "../dialects/model-request.ts";
import { openCall, outcomeOf, type Target } from "./open-call.ts";
import type { Read } from "../dialects/reply.ts";

/** What a guardrail says instead of the model. */
const BLOCKED_TEXT = "Sorry, the model cannot answer this question.";

/** Runs and answers one call. Whatever happens, it ends up in the ledger exactly once. */
export async function callModel(
  simulation: Simulation,
  exchange: Exchange,
  target: Target,
  read: Read,
): Promise<void> {
  const { modelId, operation, region, pool } = target;
  const { clock, faults } = simulation;
  const call = openCall(simulation, exchange, target);
  try {
    const { request, reply, isFree = false } = read(pool.model);
    call.requestMetadata = request.metadata;
    const prompt = promptText(request.parts);
    const fault = faults.pick(
      { operation, region, model: modelId, prompt, accessKey: callerKey(exchange.headers) },
      exchange.headers[FAULT_HEADER]?.toString(),
      clock.now(),
    );
    call.fault = fault === undefined ? null : fault.type === "error" ? fault.name : fault.type;
    if (fault?.type === "html") {
      call.end({ outcome: "error", error: "html" });
      return sendHtml(exchange, fault.status);
    }
    if (fault?.type === "body") {
      call.end({ outcome: "error", error: "body" });
      return sendAnswer(exchange, 200, fault.body);
    }
    // Only a stream can break off with an exception; without one it comes at the start.
    const early = fault?.type === "error" && (reply.kind === "whole" || isAtStart(fault)) ? fault : undefined;
    if (early !== undefined && !isModelFailure(early)) throw raiseIn({ target, simulation }, early);

    const inputTokens = tokensOf(request.parts);
    if (isFree) {
      call.measure({ inputTokens, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 });
    } else {
      if (inputTokens > pool.model.contextTokens) throw invalid("Input is too long for requested model.");
      const { prefixes } = simulation;
      const { usage, prefix } = measureInput(request.parts, prefixes, `${region}/${modelId}`, clock.now());
      call.admit(usage, request.maxTokens);
      if (prefix !== undefined) touchPrefix(prefixes, prefix, clock.now());
    }
    if (early !== undefined) throw raiseIn({ target, simulation }, early);
    if (fault?.type === "hang" && fault.at === "before-headers") return await hang({ call, exchange });
    if (fault?.type === "reset" && fault.at === "before-headers") return resetNow({ call, exchange });

    const natural = composeAnswer({ prompt, ...request, ...pool.model.answer });
    const answer = fault?.type === "stop" ? stopped(natural, fault.reason) : natural;
    const delivery = { simulation, exchange, target, call, answer, fault, isFree };
    await (reply.kind === "stream" ? deliverStream(delivery, reply) : deliverWhole(delivery, reply));
  } catch (error) {
    call.end(outcomeOf(error));
    if (!(error instanceof ServiceError)) throw error;
    sendError(exchange, error);
  }
}

function isAtStart({ at = "start" }: Extract<Fault, { type: "error" }>): boolean {
  return at === "start";
}

/** A guardrail replaces the answer, a filter cuts it, other reasons let it stand. */
function stopped(natural: Answer, stopReason: string): Answer {
  const text =
    stopReason === "guardrail_intervened"
      ? BLOCKED_TEXT
      : stopReason === "content_filtered"
        ? natural.text.slice(0, natural.text.length / 2)
        : natural.text;
  return { text, outputTokens: countTokens(text), stopReason, stopSequence: undefined };
}
