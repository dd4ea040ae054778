/** Answers one request for the service: who calls, for what, on which model. */
import {
  callerKey,
  callerRegion,
  type Exchange,
  invalid,
  type ModelOperation,
  readBody,
  route,
  sendAnswer,
  ServiceError,
  type WireRequest,
} from "@sluice/wire";
import {
  findAsyncInvoke,
  getAsyncInvoke,
  listAsyncInvokes,
  parseStart,
  startAsyncInvoke,
} from "./async-invoke.ts";
import { raise } from "../faults/raise.ts";
import { FAULT_HEADER } from "../faults/script.ts";
import { parseModelName } from "../models/find.ts";
import type { Simulation } from "../simulation.ts";
import { applyGuardrail } from "./apply-guardrail.ts";
import { callModel } from "../calls/call-model.ts";
import { converse, converseStream } from "./converse.ts";
import { countTokensOf } from "./count-tokens.ts";
import { invokeModel, invokeModelWithResponseStream } from "./invoke.ts";
import type { Target } from "../calls/open-call.ts";
import type { Read } from "../dialects/reply.ts";

/** The documented limit of a body, bytes. */
const BODY_LIMIT = 25_000_000;

/** Works on a body for a model id. */
type Operation = (body: Buffer, modelId: string, headers: Exchange["headers"]) => Read;

const modelOperations: Readonly<Record<ModelOperation, Operation>> = {
  Converse: converse,
  ConverseStream: converseStream,
  CountTokens: countTokensOf,
  InvokeModel: invokeModel,
  InvokeModelWithResponseStream: invokeModelWithResponseStream,
};

/** @throws ServiceError for whatever the service refuses. */
export async function serve(simulation: Simulation, exchange: Exchange, request: WireRequest): Promise<void> {
  const body = await readBody(request, BODY_LIMIT);
  const found = route(exchange.method, exchange.path);
  if (found === undefined) throw new ServiceError("UnknownOperationException", "Unknown operation.");
  const { operation } = found;
  const region = callerRegion(exchange.headers, simulation.region);
  if (body === undefined) {
    throw invalid(
      "1 validation error detected: Value at 'body' failed to satisfy constraint: " +
        `Member must have length less than or equal to ${BODY_LIMIT}`,
    );
  }
  const call = async (modelId: string, read: Read): Promise<void> =>
    callModel(simulation, exchange, targetOf(simulation, operation, region, modelId), read);

  switch (operation) {
    case "StartAsyncInvoke": {
      const start = parseStart(body);
      return call(start.modelId, startAsyncInvoke(simulation, region, start));
    }
    case "GetAsyncInvoke": {
      const invoke = findAsyncInvoke(simulation, found.arn);
      return call(invoke.model, getAsyncInvoke(simulation, invoke));
    }
    case "ListAsyncInvokes":
      raiseScripted(simulation, exchange, operation, region);
      return sendAnswer(exchange, 200, listAsyncInvokes(simulation, region, exchange.query));
    case "ApplyGuardrail":
      raiseScripted(simulation, exchange, operation, region);
      return sendAnswer(exchange, 200, applyGuardrail(body));
    case "Converse":
    case "ConverseStream":
    case "CountTokens":
    case "InvokeModel":
    case "InvokeModelWithResponseStream":
      return call(found.modelId, modelOperations[operation](body, found.modelId, exchange.headers));
  }
}

/** @throws ServiceError for a model that is unknown or needs a profile. */
function targetOf(simulation: Simulation, operation: string, region: string, label: string): Target {
  const { id, pool: kind } = parseModelName(label);
  const pool = simulation.pool(region, id);
  if (pool === undefined) throw invalid("The provided model identifier is invalid.");
  if (kind === "on-demand" && !pool.model.onDemand) {
    throw invalid(
      `Invocation of model ID ${id} with on-demand throughput isn’t supported. ` +
        "Retry your request with the ID or ARN of an inference profile that contains this model.",
    );
  }
  return { operation, region, modelId: id, pool };
}

/** Operations without a model meet scripted exceptions only. */
function raiseScripted(simulation: Simulation, exchange: Exchange, operation: string, region: string): void {
  const now = simulation.clock.now();
  const header = exchange.headers[FAULT_HEADER]?.toString();
  const fault = simulation.faults.pick(
    { operation, region, model: "", prompt: "", accessKey: callerKey(exchange.headers) },
    header,
    now,
  );
  if (fault?.type === "error") throw raise(fault, "", now);
}
