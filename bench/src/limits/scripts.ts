/** What a question costs: admit and settle on a real Redis, many callers on one pool. */
import { randomUUID } from "node:crypto";
import { createRedisLimiter, defaultLanes, poolKeys, type OperableLimiter } from "@sluice/limits";
import { connectionOptions, keySpace } from "@sluice/redis";
import { Redis } from "ioredis";
import { percentile } from "./scenarios.ts";

export interface ScriptFigures {
  /** Callers at once, each waiting for its answer before it asks again. */
  readonly clients: number;
  readonly pairsPerSecond: number;
  /** Of one admit + settle. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly redisCpuMicrosPerPair: number;
}

const POOL = "bench";
const WARM_UP_MS = 1_000;
const MEASURED_MS = 4_000;
const CONNECTIONS = 4;

/** 1,000 callers and 16, over a few connections that pipeline what is asked in one turn. */
export async function measureScripts(url: string): Promise<ScriptFigures[]> {
  const figures: ScriptFigures[] = [];
  // oxlint-disable-next-line no-await-in-loop -- they would share the machine
  for (const clients of [16, 1_000]) figures.push(await measureCallers(url, clients));
  return figures;
}

async function measureCallers(url: string, clients: number): Promise<ScriptFigures> {
  const connections = Array.from({ length: CONNECTIONS }, () => {
    // A long queue before a saturated server is what is measured, not a failure.
    const patient = { commandTimeout: 30_000, enableAutoPipelining: true, replyMapping: "legacy" as const };
    return new Redis(url, { ...connectionOptions("command"), ...patient });
  });
  const space = keySpace("limits-bench", randomUUID());
  const limiters = connections.map((redis) => createRedisLimiter({ redis, keySpace: space }));
  const [first] = limiters;
  const [redis] = connections;
  if (!first || !redis) throw new Error("There is no connection to measure with");
  try {
    // A quota that is never reached: every admit is the dear one, a grant.
    const quota = { tokensPerMinute: 1e12, requestsPerMinute: 1e9 };
    await first.configure(POOL, { quota, lanes: defaultLanes });
    const stop = { at: performance.now() + WARM_UP_MS };
    const warming = limiters.flatMap((limiter, index) => callers(limiter, clients, index, stop, []));
    await Promise.all(warming);
    const latencies: number[] = [];
    const cpuBefore = await cpuMicros(redis);
    const startedAt = performance.now();
    stop.at = startedAt + MEASURED_MS;
    await Promise.all(
      limiters.flatMap((limiter, index) => callers(limiter, clients, index, stop, latencies)),
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpu = (await cpuMicros(redis)) - cpuBefore;
    const sorted = latencies.toSorted((a, b) => a - b);
    return {
      clients,
      pairsPerSecond: latencies.length / seconds,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      redisCpuMicrosPerPair: cpu / latencies.length,
    };
  } finally {
    await redis.del(Object.values(poolKeys(space, POOL)));
    for (const connection of connections) connection.disconnect();
  }
}

/** A connection's part of the callers. */
function callers(
  limiter: OperableLimiter,
  clients: number,
  connection: number,
  stop: { readonly at: number },
  latencies: number[],
): Promise<void>[] {
  return Array.from({ length: clients / CONNECTIONS }, async (_, caller) => {
    for (let n = 0; performance.now() < stop.at; n++) {
      const id = `${connection}-${caller}-${n}/1/${POOL}`;
      const askedAt = performance.now();
      const cost = { tokens: 2_500, requests: 1 };
      // oxlint-disable-next-line no-await-in-loop -- a caller waits for its answer
      await limiter.admit({ pool: POOL, lane: "standard", id, job: id, cost, ttlMs: 60_000 });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await limiter.settle({ pool: POOL, id, outcome: "ok", actual: { tokens: 1_750 } });
      latencies.push(performance.now() - askedAt);
    }
  });
}

async function cpuMicros(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const seconds = [...info.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].map(([, value]) => Number(value));
  return seconds.reduce((sum, one) => sum + one, 0) * 1_000_000;
}
