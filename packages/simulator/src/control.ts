/** `/_sim/…`: the simulator's own side, for tests and operators. Needs no credentials. */
import { z } from "zod";
import {
  type Exchange,
  invalid,
  readBody,
  readJson,
  sendJson,
  ServiceError,
  type WireRequest,
} from "@sluice/wire";
import { faultRuleSchema } from "./faults/rule.ts";
import { modelTableSchema } from "./models/model.ts";
import type { Simulation } from "./simulation.ts";
import { peaksByPool } from "./evidence/peak.ts";

const BODY_LIMIT = 1_000_000;
const LARGEST_PAGE = 10_000;

const pageSchema = z.strictObject({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(LARGEST_PAGE).default(1_000),
});

const peaksSchema = z.strictObject({ windowMs: z.coerce.number().positive().default(60_000) });

const rulesSchema = z.preprocess(
  (given) => (Array.isArray(given) ? given : [given]),
  z.array(faultRuleSchema),
);

const removalSchema = z.strictObject({ id: z.coerce.number().int().optional() });

interface Asked {
  readonly query: Readonly<Record<string, string>>;
  readonly json: () => unknown;
}

type Answer = (simulation: Simulation, asked: Asked) => unknown;

const done = {};

const answers: Readonly<Record<string, Answer>> = {
  "GET /_sim/health": () => ({ status: "ok" }),
  "GET /_sim/stats": ({ clock, ledger }) => ({
    now: clock.now(),
    models: ledger.stats(),
    refused: ledger.refused(),
  }),
  "GET /_sim/calls": ({ ledger }, { query }) => {
    const { after, limit } = check(pageSchema, query);
    return ledger.page(after, limit);
  },
  "GET /_sim/peaks": ({ ledger }, { query }) => {
    const { windowMs } = check(peaksSchema, query);
    return { windowMs, models: peaksByPool(ledger.calls(), windowMs) };
  },
  "POST /_sim/models": (simulation, { json }) => {
    simulation.setModels(check(modelTableSchema, json()));
    return done;
  },
  "GET /_sim/faults": ({ faults }) => ({ rules: faults.list() }),
  "POST /_sim/faults": ({ clock, faults }, { json }) => ({
    ids: faults.add(check(rulesSchema, json()), clock.now()),
  }),
  "DELETE /_sim/faults": ({ faults }, { query }) => {
    faults.remove(check(removalSchema, query).id);
    return done;
  },
  "POST /_sim/reset": (simulation) => {
    simulation.reset();
    return done;
  },
};

/** @throws ServiceError for an unknown path or a bad argument. */
export async function control(
  simulation: Simulation,
  exchange: Exchange,
  request: WireRequest,
): Promise<void> {
  const body = await readBody(request, BODY_LIMIT);
  if (body === undefined) throw invalid(`Expected a body of at most ${BODY_LIMIT} bytes.`);
  const line = `${exchange.method} ${exchange.path}`;
  const answer = Object.hasOwn(answers, line) ? answers[line] : undefined;
  if (answer === undefined) {
    throw new ServiceError(
      "UnknownOperationException",
      `Expected one of ${Object.keys(answers).join(", ")}; got ${line}.`,
    );
  }
  const query = Object.fromEntries(exchange.query);
  sendJson(exchange, 200, answer(simulation, { query, json: () => readJson(body) }));
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success) throw invalid(z.prettifyError(result.error));
  return result.data;
}
