/** `pnpm bench limits`: what the limiter makes of a quota, and what a question to it costs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "@sluice/services";
import { table, type Bench, type Json } from "../scenario.ts";
import { largeSettings, measure, windowSettings, type Row } from "./scenarios.ts";
import { measureScripts, type ScriptFigures } from "./scripts.ts";

/** @param redisUrl a Redis to use instead of starting one. Keys get a prefix of their own. */
export function createLimitsBench({ redisUrl }: { redisUrl: string | undefined }): Bench {
  return {
    name: "limits",
    about: "quota used, throttles and waits against four server windows; pairs per second on real Redis",
    async run(print) {
      print("Simulated fleet, 1 M tokens per minute, three lanes, 20 minutes x 3 seeds");
      const simulation = await rows(windowSettings);
      print(simulationTable(simulation).join("\n"));
      print("\nBulk inputs of up to several seconds of quota, server bucket-60");
      const large = await rows(largeSettings);
      print(simulationTable(large).join("\n"));
      print("\nScripts on real Redis: admit + settle");
      const scripts = await withRedis(redisUrl, measureScripts);
      print(scriptsTable(scripts).join("\n"));
      return { simulation: simulation.map(plain), large: large.map(plain), scripts: scripts.map(plain) };
    },
  };
}

async function rows(settings: typeof windowSettings): Promise<Row[]> {
  const measured: Row[] = [];
  // oxlint-disable-next-line no-await-in-loop -- pure computation, nothing to overlap
  for (const setting of settings) measured.push(await measure(setting));
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
