/** A running deployment as the CLI operates on it: its pools, and their limits in Redis. */
import { poolLimits, readPools, type Pool } from "@sluice/config";
import {
  createOperations,
  createQuotaLog,
  createRedisLimiter,
  type OperableLimiter,
  type Operations,
  type PoolLimits,
  type QuotaLog,
} from "@sluice/limits";
import { queueName } from "@sluice/job";
import { deploymentEnv, parseEnv } from "@sluice/process";
import { knownLanes, POLLS_LANE, unended } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { describeUnserved, readServed, UsageStore } from "@sluice/results";
import { z } from "zod";
import { openRedis, sharedClock } from "./redis.ts";
import { tell } from "./terminal.ts";

export interface Deployment extends AsyncDisposable {
  readonly pools: readonly Pool[];
  /** @throws Error naming the pools there are. */
  pool(name: string): Pool;
  limiter(pool: Pool): OperableLimiter;
  /** What the pools file says of it. */
  declared(pool: Pool): PoolLimits;
  quotaLog(pool: Pool): QuotaLog;
  operations(pool: Pool): Operations;
  usage(pool: Pool): UsageStore;
  /** The shared time. */
  readonly clock: () => number;
  /** The pool's lanes that no worker serves, and those that only Redis still knows. */
  strayLanes(pool: Pool): Promise<readonly StrayLane[]>;
}

/** A lane that is not as it should be. */
export interface StrayLane {
  readonly lane: string;
  /** That have not ended. */
  readonly jobs: number;
  /** Whether this pools file has it. */
  readonly inFile: boolean;
  /** Why nobody takes jobs of it; left out while somebody does, or may. */
  readonly unserved?: string;
}

const envSchema = z.object(deploymentEnv).pick({
  SLUICE_POOLS: true,
  SLUICE_NAMESPACE: true,
  REDIS_URL: true,
});

/** Opens what the environment names. @throws Error naming every variable that is missing. */
export async function openDeployment(): Promise<Deployment> {
  const env = parseEnv(envSchema, process.env);
  const { pools, scopes, warnings } = await readPools(env.SLUICE_POOLS);
  for (const { line, message } of warnings) {
    tell(`sluice: warning: ${line === undefined ? "" : `line ${line}: `}${message}`);
  }
  const redis = await openRedis(env.REDIS_URL, "command");
  const clock = await sharedClock(redis, env.SLUICE_NAMESPACE);
  const spaceOf = (pool: Pool) => keySpace(env.SLUICE_NAMESPACE, pool.scope);
  return {
    pools: Object.values(pools),
    pool(name) {
      const pool = Object.hasOwn(pools, name) ? pools[name] : undefined;
      if (pool !== undefined) return pool;
      throw new Error(`There is no pool '${name}'. Pools: ${Object.keys(pools).join(", ")}`);
    },
    limiter: (pool) => createRedisLimiter({ redis, keySpace: spaceOf(pool) }),
    declared: (pool) => poolLimits(pool, scopes[pool.scope] ?? { tokensPerDay: null }),
    quotaLog: (pool) => createQuotaLog(redis, spaceOf(pool)),
    operations: (pool) => createOperations(redis, spaceOf(pool), clock),
    clock,
    usage: (pool) => new UsageStore(redis, spaceOf(pool)),
    async strayLanes({ name, lanes, scope }) {
      const space = keySpace(env.SLUICE_NAMESPACE, scope);
      const [known, served] = await Promise.all([knownLanes(redis, space), readServed(redis, space)]);
      const found = known.filter(({ pool, lane }) => pool === name && lane !== POLLS_LANE);
      const all = new Set([...lanes, ...found.map(({ lane }) => lane)]);
      const looked = await Promise.all(
        [...all].map(async (lane): Promise<StrayLane> => {
          const unserved = describeUnserved(served, queueName(name, lane));
          const jobs = await unended(redis, space, { pool: name, lane });
          return {
            lane,
            jobs,
            inFile: lanes.includes(lane),
            ...(unserved === undefined ? {} : { unserved }),
          };
        }),
      );
      // While no worker runs at all, a lane without jobs is no news.
      return looked.filter(({ inFile, jobs, unserved }) =>
        jobs > 0 ? !inFile || unserved !== undefined : inFile && served.workers > 0 && unserved !== undefined,
      );
    },
    async [Symbol.asyncDispose]() {
      await redis.quit();
    },
  };
}
