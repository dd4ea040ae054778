/** `pnpm bench limits`: what the limiter makes of a quota, and what a question to it costs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { laneBound } from "@sluice/limits";
import { startRedis } from "@sluice/services";
import { table, type Bench, type Json } from "../scenario.ts";
import { largeSettings, measure, windowSettings, type Row } from "./scenarios.ts";
import { measureScripts, type ScriptFigures } from "./scripts.ts";
import { fleetLimits, fleetSettings, measureFleet, type FleetRow } from "./small-fleets.ts";
import {
  measureLarge,
  measureSporadic,
  sporadicSettings,
  type LargeRow,
  type SporadicRow,
} from "./sporadic.ts";

/** @param redisUrl a Redis to use instead of starting one. Keys get a prefix of their own. */
export function createLimitsBench({ redisUrl }: { redisUrl: string | undefined }): Bench {
  return {
    name: "limits",
    about: "quota used, throttles, waits and shares of the simulated fleet; pairs per second on real Redis",
    async run(print) {
      print("Simulated fleet, 1 M tokens per minute, three lanes, 20 minutes x 3 seeds");
      const simulation = await all(windowSettings, measure);
      print(simulationTable(simulation).join("\n"));
      print("\nBulk inputs of up to several seconds of quota, server bucket-60");
      const large = await all(largeSettings, measure);
      print(simulationTable(large).join("\n"));
      const bound = laneBound(fleetLimits, "bulk");
      print(
        `\nLanes of small fleets, 600,000 tokens per minute, standard and bulk saturated: bulk gets at least ` +
          `${percent(bound.leastShare)} % less one largest cost and ${bound.behindMs} ms of the quota, at most ` +
          `${percent(bound.mostShare ?? 1)} %`,
      );
      const fleets = await all(fleetSettings, async (setting) => measureFleet(setting));
      print(fleetTable(fleets).join("\n"));
      print("\nSporadic refusals, whatever the quota; nine tenths of it offered");
      const sporadic = await all(sporadicSettings, async (setting) => measureSporadic(setting));
      print(sporadicTable(sporadic).join("\n"));
      print("\nFive jobs of 63,000 tokens where the file says 600,000 a minute and the server gives 60,000");
      const tooLarge = [
        await measureLarge(false, false),
        await measureLarge(true, false),
        await measureLarge(true, true),
      ];
      print(largeTable(tooLarge).join("\n"));
      print("\nScripts on real Redis: admit + settle");
      const scripts = await withRedis(redisUrl, measureScripts);
      print(scriptsTable(scripts).join("\n"));
      return {
        simulation: simulation.map(plain),
        large: large.map(plain),
        fleets: fleets.map(({ bulk, ...row }) => plain({ ...row, bulkCalls: bulk.calls })),
        sporadic: sporadic.map(plain),
        tooLarge: tooLarge.map(plain),
        scripts: scripts.map(plain),
      };
    },
  };
}

async function all<Setting, Measured>(
  settings: readonly Setting[],
  measureOne: (setting: Setting) => Promise<Measured>,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  // oxlint-disable-next-line no-await-in-loop -- pure computation, nothing to overlap
  for (const setting of settings) measured.push(await measureOne(setting));
  return measured;
}

async function withRedis<T>(url: string | undefined, use: (url: string) => Promise<T>): Promise<T> {
  if (url !== undefined) return use(url);
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    await using redis = await startRedis({ dataDir });
    return await use(redis.url);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Rounded for reading; four digits say more than the runs are worth. */
function plain(figures: object): Json {
  return Object.fromEntries(
    Object.entries(figures).map(([key, value]: [string, string | number | boolean]) => [
      key,
      typeof value === "number" ? Number(value.toPrecision(4)) : value,
    ]),
  );
}

const percent = (fraction: number, digits = 1): string => (fraction * 100).toFixed(digits);

function simulationTable(measured: readonly Row[]): string[] {
  const head = ["server", "stranger", "bulk input", "standard", "used %", "throttles %"];
  const body = measured.map((row) => [
    row.server,
    percent(row.stranger, 0),
    row.bulkInput,
    row.standard ? "full" : "-",
    percent(row.quotaUsed),
    percent(row.throttlesPerCall, 2),
    row.criticalWaitMsP50.toFixed(0),
    row.criticalWaitMsP99.toFixed(0),
    percent(row.bulkShare),
    row.asksPerCall.toFixed(2),
  ]);
  return table([[...head, "critical p50 ms", "p99 ms", "bulk %", "asks/call"], ...body]);
}

function fleetTable(measured: readonly FleetRow[]): string[] {
  const body = measured.map((row) => [
    row.processes,
    row.input,
    row.critical,
    percent(row.quotaUsed),
    percent(row.standardShare),
    percent(row.bulkShare),
    row.mostAhead,
    row.asksPerCall.toFixed(2),
  ]);
  const head = [
    "processes",
    "input",
    "critical",
    "used %",
    "standard %",
    "bulk %",
    "granted ahead",
    "asks/call",
  ];
  return table([head, ...body]);
}

function sporadicTable(measured: readonly SporadicRow[]): string[] {
  const body = measured.map((row) => [
    row.kind,
    percent(row.fraction, 0),
    row.callsPerMinute,
    row.latencyMs,
    percent(row.answered),
    row.leastCeiling.toFixed(2),
    row.meanCeiling.toFixed(2),
  ]);
  const head = ["kind", "%", "calls/min", "latency ms", "answered %", "least ceiling", "mean"];
  return table([head, ...body]);
}

function largeTable(measured: readonly LargeRow[]): string[] {
  const body = measured.map((row) => [
    row.large ? 5 : 0,
    row.apart ? "yes" : "no",
    row.arrived,
    row.answered,
    row.leastCeiling.toFixed(2),
  ]);
  return table([["large jobs", "kept apart", "small jobs", "answered", "least ceiling"], ...body]);
}

function scriptsTable(measured: readonly ScriptFigures[]): string[] {
  const body = measured.map((row) => [
    row.clients,
    row.pairsPerSecond.toFixed(0),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.redisCpuMicrosPerPair.toFixed(0),
  ]);
  return table([["callers", "pairs/s", "p50 ms", "p99 ms", "redis cpu us/pair"], ...body]);
}
