/**
 * How one, two and three workers share a quota between two lanes that are always full, with small jobs and with large
 * ones, as the simulator saw it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices, type Services } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { readCalls, type SeenCall } from "../evidence.ts";
import { startInstallation, type Installation } from "../installation.ts";
import { keepFull } from "../keep-full.ts";
import { startSupervised } from "../supervisor.ts";
import { leastBulk, sharesOf, type Shares, type Window } from "./shares.ts";

export interface LanesOptions extends RunOptions {
  readonly fleets?: readonly number[];
  /** Default: all of `SIZES`. */
  readonly sizes?: readonly JobSize[];
}

/** Jobs of one size, and how long they are looked at. */
export interface JobSize {
  /** Input and output together: what a job is settled at. */
  readonly tokens: number;
  readonly tokensPerMinute: number;
  /** The first calls reserve more than they use, until the worker has learnt what its lanes use. */
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** Jobs that wait in each lane. */
  readonly depth: number;
  /** Fleets one after the other: together they would ask for more than two cores give. */
  readonly inTurn: boolean;
}

export interface LanesRow extends Shares {
  readonly workers: number;
  readonly tokens: number;
  /** Least fraction that bulk must have. */
  readonly leastBulk: number;
}

export const SIZES: readonly JobSize[] = [
  { tokens: 6_000, tokensPerMinute: 600_000, warmUpMs: 45_000, windowMs: 110_000, depth: 40, inTurn: false },
  { tokens: 100, tokensPerMinute: 240_000, warmUpMs: 15_000, windowMs: 30_000, depth: 120, inTurn: true },
];

const FLEETS = [1, 2, 3];

const LANES = ["critical", "standard", "bulk"];
const FULL_LANES = ["standard", "bulk"] as const;

/** Of a job's tokens. Half of what it may write, as the simulator writes. */
const OUTPUT_SHARE = 1 / 60;
const LEAST_OUTPUT = 20;

const CHARACTERS_PER_TOKEN = 4;
const DEADLINE_MS = 600_000;
const MAX_ATTEMPTS = 5;

/** So that calls which started in the window are over when they are counted. */
const SETTLE_MS = 3_000;

/** Calls take a third of a second; no lane is to wait for a slot. */
const SLOTS = 96;

export async function runLanes(options: LanesOptions): Promise<LanesRow[]> {
  const { fleets = FLEETS, sizes = SIZES, dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
  const models = fleets.flatMap((workers) => sizes.map((size) => [modelOf(workers, size), simulated(size)]));
  await using services = await startServices({
    dataDir,
    redisUrl,
    dynamoDbUrl,
    simulator: { models: Object.fromEntries(models) },
  });
  await using open = new AsyncDisposableStack();
  const installations = new Map<number, Installation>();
  for (const workers of fleets) {
    const installation = open.use(await install(services, workers, sizes));
    installations.set(workers, installation);
    for (let started = 0; started < workers; started += 1) await startSupervised(installation);
  }
  onProgress(
    `Fleets of ${fleets.join(", ")} workers; jobs of ${sizes.map(({ tokens }) => tokens).join(", ")} tokens`,
  );
  const rows = await Promise.all(
    sizes.map(async (size) => {
      const measured: LanesRow[] = [];
      const measure = async (workers: number): Promise<void> => {
        const installation = installations.get(workers);
        if (installation === undefined) return;
        const row = await saturate(installation, services, workers, size);
        onProgress(`${workers} workers, ${size.tokens} tokens: bulk ${row.bulk}, used ${row.used}`);
        measured.push(row);
      };
      if (!size.inTurn) await Promise.all(fleets.map(measure));
      else for (const workers of fleets) await measure(workers);
      return measured;
    }),
  );
  return rows.flat();
}

async function saturate(
  { records }: Installation,
  { simulatorUrl }: Services,
  workers: number,
  size: JobSize,
): Promise<LanesRow> {
  const { tokens, tokensPerMinute, warmUpMs, windowMs, depth } = size;
  const pool = poolName(size);
  const output = Math.max(LEAST_OUTPUT, Math.round(tokens * OUTPUT_SHARE));
  const text = "Water finds its level. "
    .repeat(tokens)
    .slice(0, (tokens - output) * CHARACTERS_PER_TOKEN - 8);
  const order = (index: number) => ({
    shape: "converse" as const,
    text: `${String(index).padStart(8, "0")}${text}`,
    maxTokens: output * 2,
    deadlineMs: DEADLINE_MS,
    maxAttempts: MAX_ATTEMPTS,
  });
  const done = new AbortController();
  const full = FULL_LANES.map(async (lane) => keepFull(records, { pool, lane, depth }, order, done.signal));
  await sleep(warmUpMs);
  const from = Date.now();
  await sleep(windowMs);
  const window: Window = { from, to: Date.now() };
  done.abort();
  await Promise.all(full);
  await sleep(SETTLE_MS);
  const calls = await callsOfFleet(simulatorUrl, modelOf(workers, size));
  const shares = sharesOf(calls, pool, window, tokensPerMinute);
  return { workers, tokens, ...shares, leastBulk: leastBulk(windowMs, tokens, tokensPerMinute) };
}

/** Fleets have pools of the same names, and models of their own. */
async function callsOfFleet(simulatorUrl: string, model: string): Promise<Map<string, readonly SeenCall[]>> {
  const all = await readCalls(simulatorUrl);
  return new Map([...all].map(([id, calls]) => [id, calls.filter((call) => call.model === model)]));
}

async function install(
  services: Services,
  workers: number,
  sizes: readonly JobSize[],
): Promise<Installation> {
  const pools = sizes.map((size) => [
    poolName(size),
    {
      scope: "main",
      model: modelOf(workers, size),
      lanes: LANES,
      burndown: 1,
      slots: SLOTS,
      quota: { tokensPerMinute: size.tokensPerMinute },
    },
  ]);
  return startInstallation({
    pools: { scopes: { main: { region: "us-east-1" } }, pools: Object.fromEntries(pools) },
    folder: services.runFolder,
    locks: "shipped",
    ...services,
  });
}

/** The server has what the pools file says, so that asking too much would show as throttles. */
function simulated({ tokensPerMinute, tokens }: JobSize): object {
  return {
    tokensPerMinute,
    requestsPerMinute: null,
    burndown: 1,
    latency: { timeToFirstTokenMs: 200, tokensPerSecond: 1_000, sigma: 0.1 },
    answer: { medianTokens: tokens, sigma: 0 },
  };
}

function poolName({ tokens }: JobSize): string {
  return `tokens-${tokens}`;
}

function modelOf(workers: number, { tokens }: JobSize): string {
  return `us.anthropic.claude-haiku-4-5-${workers}w-${tokens}`;
}
