/** The state behind one simulator: nothing of it outlives the process. */
import { type AsyncInvokeStore, createAsyncInvokeStore } from "./async-invokes.ts";
import type { Clock } from "./clock.ts";
import { createLedger, type Ledger } from "./evidence/ledger.ts";
import { createFaultScript, type FaultScript } from "./faults/script.ts";
import { findModel } from "./models/find.ts";
import type { Model, ModelTable } from "./models/model.ts";
import type { PrefixCache } from "./dialects/input-usage.ts";
import { createDailyWindow, createMeter, type Meter } from "./quota/meter.ts";
import type { Window } from "./quota/window.ts";
import { type Random, seeded } from "./random.ts";

/** The figures a simulation starts from. */
export interface SimulationOptions {
  readonly models: ModelTable;
  readonly clock: Clock;
  readonly timeScale: number;
  readonly seed: number;
  /** Tokens per day and Region across all models; null for none. */
  readonly tokensPerDay: number | null;
  /** The Region of requests that are not signed for one. */
  readonly region: string;
}

/** A model with the meter of its quota. */
export interface Pool {
  readonly model: Model;
  readonly meter: Meter;
}

/** Everything the operations work on. */
export interface Simulation extends Omit<SimulationOptions, "models" | "seed"> {
  readonly random: Random;
  readonly ledger: Ledger;
  readonly prefixes: PrefixCache;
  readonly faults: FaultScript;
  readonly asyncInvokes: AsyncInvokeStore;
  /** The quota of a model in a Region; undefined for an unknown model. */
  pool(region: string, id: string): Pool | undefined;
  /** Adds or replaces entries of the models table; the quotas of the models they match start anew. */
  setModels(entries: ModelTable): void;
  /** Forgets evidence, caches and faults and starts every quota anew. */
  reset(): void;
}

/** An unused simulation. */
export function createSimulation({ models, seed, ...options }: SimulationOptions): Simulation {
  const { clock, tokensPerDay } = options;
  const pools = new Map<string, Pool>();
  const days = new Map<string, Window>();
  const ledger = createLedger();
  const prefixes: PrefixCache = new Map();
  const random = seeded(seed);
  const faults = createFaultScript(random);
  let table = models;

  const dayOf = (region: string): Window | null => {
    if (tokensPerDay === null) return null;
    const day = days.get(region) ?? createDailyWindow(tokensPerDay, clock.now());
    days.set(region, day);
    return day;
  };

  return {
    ...options,
    random,
    faults,
    asyncInvokes: createAsyncInvokeStore(),
    ledger,
    prefixes,
    pool: (region, id) => {
      const key = `${region}/${id}`;
      const known = pools.get(key);
      if (known !== undefined) return known;
      const model = findModel(table, id, region);
      if (model === undefined) return undefined;
      const pool = { model, meter: createMeter(model, dayOf(region), clock.now()) };
      pools.set(key, pool);
      return pool;
    },
    setModels: (entries) => {
      table = { ...table, ...entries };
      for (const [key, pool] of pools) {
        const [region = "", id = ""] = key.split(/\/(.*)/s);
        if (JSON.stringify(findModel(table, id, region)) !== JSON.stringify(pool.model)) pools.delete(key);
      }
    },
    reset: () => {
      pools.clear();
      days.clear();
      prefixes.clear();
      faults.remove();
      ledger.reset();
    },
  };
}
