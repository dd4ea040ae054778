/** Answers one request for the service: who calls, for what, on which model. */
import { parseModelName } from "../models/find.ts";
import type { Simulation } from "../simulation.ts";
import { callerRegion } from "../wire/caller.ts";
import { type Exchange, readBody, type WireRequest } from "../wire/exchange.ts";
import { invalid, ServiceError } from "../wire/service-error.ts";
import { converse } from "./converse.ts";
import { route } from "./route.ts";

/** The documented limit of a body, bytes. */
const BODY_LIMIT = 25_000_000;

/** @throws ServiceError for whatever the service refuses. */
export async function serve(simulation: Simulation, exchange: Exchange, request: WireRequest): Promise<void> {
  const body = await readBody(request, BODY_LIMIT);
  const found = route(exchange.method, exchange.path);
  if (found === undefined) throw new ServiceError("UnknownOperationException", "Unknown operation.");
  const region = callerRegion(exchange.headers, simulation.region);
  if (body === undefined) {
    throw invalid(
      "1 validation error detected: Value at 'body' failed to satisfy constraint: " +
        `Member must have length less than or equal to ${BODY_LIMIT}`,
    );
  }
  const { id, pool: kind } = parseModelName(found.modelId);
  const pool = simulation.pool(region, id);
  if (pool === undefined) throw invalid("The provided model identifier is invalid.");
  if (kind === "on-demand" && !pool.model.onDemand) {
    throw invalid(
      `Invocation of model ID ${id} with on-demand throughput isn’t supported. ` +
        "Retry your request with the ID or ARN of an inference profile that contains this model.",
    );
  }
  await converse(simulation, exchange, { operation: found.operation, region, modelId: id, pool }, body);
}
