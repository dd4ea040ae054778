/** `/_sim/…`: the simulator's own side, for tests and operators. Needs no credentials. */
import { z } from "zod";
import { modelTableSchema } from "../models/model.ts";
import type { Simulation } from "../simulation.ts";
import { type Exchange, readBody, sendJson, type WireRequest } from "../wire/exchange.ts";
import { readJson } from "../wire/parse.ts";
import { invalid, ServiceError } from "../wire/service-error.ts";

const BODY_LIMIT = 1_000_000;
const LARGEST_PAGE = 10_000;

const pageQuerySchema = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(LARGEST_PAGE).default(1_000),
});

/** @throws ServiceError for an unknown path or a bad argument. */
export async function control(
  simulation: Simulation,
  exchange: Exchange,
  request: WireRequest,
): Promise<void> {
  const body = (await readBody(request, BODY_LIMIT)) ?? Buffer.alloc(0);
  const { ledger, clock } = simulation;
  switch (`${exchange.method} ${exchange.path}`) {
    case "GET /_sim/health":
      sendJson(exchange, 200, { status: "ok" });
      return;
    case "GET /_sim/stats":
      sendJson(exchange, 200, { now: clock.now(), models: ledger.stats() });
      return;
    case "GET /_sim/calls": {
      const { after, limit } = check(pageQuerySchema, Object.fromEntries(exchange.query));
      sendJson(exchange, 200, ledger.page(after, limit));
      return;
    }
    case "POST /_sim/models":
      simulation.setModels(check(modelTableSchema, readJson(body)));
      sendJson(exchange, 200, {});
      return;
    case "POST /_sim/reset":
      simulation.reset();
      sendJson(exchange, 200, {});
      return;
    default:
      throw new ServiceError(
        "UnknownOperationException",
        `No such path: ${exchange.method} ${exchange.path}.`,
      );
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success) throw invalid(z.prettifyError(result.error));
  return result.data;
}
