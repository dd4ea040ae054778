/** The way of one model call: read it, admit it, let the answer grow, settle, reply, record. */
import { composeAnswer } from "../answer/answer.ts";
import type { CallOutcome, FinishedCall, ThrottleKind } from "../evidence/call.ts";
import { markedFault } from "../faults/marker.ts";
import type { Model } from "../models/model.ts";
import { reservedTokens, settledTokens, type Usage } from "../quota/cost.ts";
import type { Pool, Simulation } from "../simulation.ts";
import { sdkAttempt } from "../wire/caller.ts";
import type { Exchange } from "../wire/exchange.ts";
import { invalid, ServiceError } from "../wire/service-error.ts";
import { drawPace, generate } from "./generate.ts";
import { measureInput } from "./input-usage.ts";
import { type ModelRequest, promptText } from "./model-request.ts";

/** Where a call goes. */
export interface Target {
  readonly operation: string;
  readonly region: string;
  readonly modelId: string;
  readonly pool: Pool;
}

/** A finished generation, ready to be put into the shape of an operation. */
export interface Generation {
  readonly text: string;
  readonly stopReason: string;
  readonly stopSequence: string | undefined;
  readonly usage: Usage;
  readonly latencyMs: number;
}

/** How an operation reads its request and writes its reply. */
export interface Dialect<Request extends ModelRequest> {
  /** @throws ServiceError when the service would refuse the request. */
  read(model: Model): Request;
  reply(request: Request, generation: Generation): void;
}

/** A long answer is metered while it grows, once in about a second. */
const RUN_DOWN_EVERY_MS = 1_000;

/** What a guardrail says instead of the model. */
const BLOCKED_TEXT = "Sorry, the model cannot answer this question.";

const throttleMessage: Readonly<Record<Exclude<ThrottleKind, "overloaded">, string>> = {
  requests: "Too many requests, please wait before trying again.",
  tokens: "Too many tokens, please wait before trying again.",
  "tokens-per-day": "Too many tokens per day, please wait before trying again.",
};

/** Runs one call. Whatever happens, it ends up in the ledger exactly once. */
export async function callModel<Request extends ModelRequest>(
  simulation: Simulation,
  exchange: Exchange,
  target: Target,
  dialect: Dialect<Request>,
): Promise<void> {
  const { clock, ledger } = simulation;
  const { model, meter } = target.pool;
  const startedAt = clock.now();
  let request: Request | undefined;
  ledger.begin(target.region, target.modelId);

  const record = (outcome: CallOutcome, spent: Spent = nothingSpent): void => {
    const call: FinishedCall = {
      requestId: exchange.requestId,
      operation: target.operation,
      region: target.region,
      model: target.modelId,
      ...sdkAttempt(exchange.headers),
      startedAt,
      endedAt: clock.now(),
      requestMetadata: request?.metadata ?? null,
      ...spent,
      ...outcome,
    };
    ledger.end(call);
  };

  let spent = nothingSpent;
  try {
    request = dialect.read(model);
    const prompt = promptText(request.parts);
    const fault = markedFault(prompt);
    if (fault?.kind === "error") throw fault.error;

    const input = measureInput(
      request.parts,
      simulation.prefixes,
      `${target.region}/${target.modelId}`,
      startedAt,
    );
    const inputTokens = input.inputTokens + input.cacheReadInputTokens + input.cacheWriteInputTokens;
    if (inputTokens > model.contextTokens) throw invalid("Input is too long for requested model.");

    const admission = meter.admit(startedAt, reservedTokens(input, request.maxTokens));
    if (!admission.admitted) throw new Throttle(admission.throttledBy);
    let { reservation } = admission;

    const natural = composeAnswer({ prompt, ...request, ...model.answer });
    const answer =
      fault === undefined ? natural : stopped(natural.text, fault.stopReason, natural.outputTokens);
    const pace = drawPace(model.latency, simulation.timeScale, simulation.random);
    const step = pace.perTokenMs === 0 ? answer.outputTokens : Math.ceil(RUN_DOWN_EVERY_MS / pace.perTokenMs);
    let usage: Usage = { ...input, outputTokens: 0 };
    for await (const outputTokens of generate(pace, answer.outputTokens, step, clock, exchange.signal)) {
      usage = { ...input, outputTokens };
      reservation = meter.runDown(clock.now(), reservation, settledTokens(usage, model.burndown));
    }
    const settled = settledTokens(usage, model.burndown);
    meter.settle(clock.now(), reservation, settled);
    spent = {
      admitted: true,
      reservedTokens: reservation.tokens,
      settledTokens: settled,
      inputTokens,
      outputTokens: usage.outputTokens,
    };
    if (exchange.signal.aborted) {
      record({ outcome: "disconnected" }, spent);
      return;
    }
    record({ outcome: fault === undefined ? "completed" : "filtered", stopReason: answer.stopReason }, spent);
    const latencyMs = Math.round(clock.now() - startedAt);
    dialect.reply(request, { ...answer, usage, latencyMs });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (error instanceof Throttle) record({ outcome: "throttled", throttle: error.throttledBy });
    else record({ outcome: "error", error: error.name }, spent);
    throw error;
  }
}

/** The quota's own refusal. */
class Throttle extends ServiceError {
  readonly throttledBy: keyof typeof throttleMessage;

  constructor(throttledBy: keyof typeof throttleMessage) {
    super("ThrottlingException", throttleMessage[throttledBy]);
    this.throttledBy = throttledBy;
  }
}

type Spent = Pick<
  FinishedCall,
  "admitted" | "reservedTokens" | "settledTokens" | "inputTokens" | "outputTokens"
>;

const nothingSpent: Spent = {
  admitted: false,
  reservedTokens: 0,
  settledTokens: 0,
  inputTokens: 0,
  outputTokens: 0,
};

/** A filter cuts the answer short; a guardrail replaces it. */
function stopped(
  text: string,
  stopReason: "content_filtered" | "guardrail_intervened",
  outputTokens: number,
): Pick<Generation, "text" | "stopReason" | "stopSequence"> & { outputTokens: number } {
  const part = Math.ceil(outputTokens / 3);
  return stopReason === "guardrail_intervened"
    ? { text: BLOCKED_TEXT, stopReason, stopSequence: undefined, outputTokens: part }
    : { text: text.slice(0, part * 4), stopReason, stopSequence: undefined, outputTokens: part };
}
