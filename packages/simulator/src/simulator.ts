/** Starts a simulator: a port in front of a simulation. */
import { hostCheck, isSafeFromOtherSites, misdirected } from "@sluice/process";
import { z } from "zod";
import { listen, openExchange, sendError, sendJson, ServiceError } from "@sluice/wire";
import { type Clock, systemClock } from "./clock.ts";
import { control } from "./control.ts";
import type { CallPage, ModelStats } from "./evidence/ledger.ts";
import { type ModelTable, modelTableSchema } from "./models/model.ts";
import { serve } from "./operations/serve.ts";
import { faultRuleSchema, type FaultRuleInput } from "./faults/rule.ts";
import { peaksByPool, type Peak } from "./evidence/peak.ts";
import { createSimulation } from "./simulation.ts";

/** Load balancers ask by address. */
const HEALTH = "/_sim/health";

const faultRulesSchema = z.array(faultRuleSchema);

/** How to start. Every field may be left out. */
export interface SimulatorOptions {
  /** TCP port. Default 0: a free one. */
  readonly port?: number;
  /** Address to listen on. Default 127.0.0.1; there is no authentication worth the name, so keep it there. */
  readonly host?: string;
  /** Names under which it is asked, beside loopback and the address it listens on. `*`: any. Default: none. */
  readonly allowedHosts?: readonly string[];
  /** Quotas and latencies by model id or pattern. Default: the built-in table, which also fills the gaps. */
  readonly models?: ModelTable;
  /** Tokens per day and Region across all models. Default: none. */
  readonly tokensPerDay?: number;
  /** The Region of requests that carry an API key instead of a signature. Default us-east-1. */
  readonly region?: string;
  /** Scripted faults in force from the start. More can be set while it runs. */
  readonly faults?: readonly FaultRuleInput[];
  /** Default: the clock of this machine. */
  readonly clock?: Clock;
  /** Multiplies every wait of the latency model; quotas keep real time. Default 1; 0 answers at once. */
  readonly timeScale?: number;
  /** Seeds latencies and fault rates. Default 1. */
  readonly seed?: number;
}

/** A running simulator. */
export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`: the endpoint for the SDK. */
  readonly url: string;
  /** Counters by `region/model`, as `GET /_sim/stats` answers. */
  stats(): Readonly<Record<string, ModelStats>>;
  /** Finished calls in the order of ending, as `GET /_sim/calls` answers. */
  calls(after?: number, limit?: number): CallPage;
  /** The fullest window of each `region/model`, as `GET /_sim/peaks` answers. Default 60,000 ms. */
  peaks(windowMs?: number): Readonly<Record<string, Peak>>;
  /** Adds scripted faults behind those in force and returns their ids. */
  addFaults(rules: readonly FaultRuleInput[]): number[];
  /** Takes one scripted fault back, or all. */
  removeFaults(id?: number): void;
  /** Adds or replaces models; the quotas of those it changes start anew. */
  setModels(models: ModelTable): void;
  /** Forgets evidence, caches and faults and gives all quotas back. */
  reset(): void;
  /** Cuts all connections and closes the port. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Listens and answers until stopped. Nothing is shared between two simulators in one process.
 * @throws TypeError when models or faults are not what they should be; whatever `net` throws for a taken port.
 */
export async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulation = createSimulation({
    models: check("models", modelTableSchema, options.models ?? {}),
    clock: options.clock ?? systemClock,
    timeScale: options.timeScale ?? 1,
    seed: options.seed ?? 1,
    tokensPerDay: options.tokensPerDay ?? null,
    region: options.region ?? "us-east-1",
  });

  const addFaults = (rules: readonly FaultRuleInput[]): number[] =>
    simulation.faults.add(check("faults", faultRulesSchema, rules), simulation.clock.now());
  addFaults(options.faults ?? []);

  const host = options.host ?? "127.0.0.1";
  const isOurs = hostCheck(host, options.allowedHosts ?? []);
  const port = await listen(host, options.port ?? 0, (request, response, socket) => {
    const exchange = openExchange(request, response, socket);
    const { headers } = request;
    // What a page of another site makes a browser send: under a name that was made to lead here, or a form.
    if (exchange.path !== HEALTH && !isOurs({ headers, socket })) {
      sendJson(exchange, 421, { message: misdirected("--allowed-hosts") });
      return;
    }
    if (!isSafeFromOtherSites(request.method, headers)) {
      sendJson(exchange, 403, { message: "This request comes from a page of another site." });
      return;
    }
    const isControl = exchange.path.startsWith("/_sim/");
    const handle = isControl ? control : serve;
    handle(simulation, exchange, request).catch((error: unknown) => {
      if (error instanceof ServiceError && !isControl) simulation.ledger.refuse(error.name);
      // A client that cut its own request short hears nothing; anything else unforeseen is an honest 500.
      if (exchange.signal.aborted || response.headersSent) response.destroy();
      else if (error instanceof ServiceError) sendError(exchange, error);
      else
        sendError(
          exchange,
          new ServiceError(
            "InternalFailure",
            `Simulator: ${error instanceof Error ? error.name : typeof error}`,
          ),
        );
    });
  });

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= port.close();
    await stopped;
  };
  return {
    url: port.url,
    stats: () => simulation.ledger.stats(),
    calls: (after = 0, limit = Infinity) => simulation.ledger.page(after, limit),
    peaks: (windowMs = 60_000) => peaksByPool(simulation.ledger.calls(), windowMs),
    addFaults,
    removeFaults: (id) => simulation.faults.remove(id),
    setModels: (models) => simulation.setModels(check("models", modelTableSchema, models)),
    reset: () => simulation.reset(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function check<T>(name: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success)
    throw new TypeError(`Expected \`${name}\` to be valid:\n${z.prettifyError(result.error)}`);
  return result.data;
}
