/** A running deployment as the CLI operates on it: its pools, and their limits in Redis. */
import { poolLimits, readPools, type Pool } from "@sluice/config";
import {
  createOperations,
  createQuotaLog,
  createRedisLimiter,
  poolKeys,
  type Inspection,
  type OperableLimiter,
  type Operations,
  type PoolLimits,
  type QuotaLog,
} from "@sluice/limits";
import { nameSchema, queueName } from "@sluice/job";
import { deploymentEnv, parseEnv } from "@sluice/process";
import { knownLanes, POLLS_LANE, unended } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { describeUnserved, describeWorkers, readServed, UsageStore } from "@sluice/results";
import { z } from "zod";
import { openRedis, sharedClock } from "./redis.ts";
import { tell } from "./terminal.ts";

/** A pool as far as Redis is asked about it. */
export type KnownPool = Pick<Pool, "name" | "scope" | "lanes">;

export interface FoundPool {
  readonly pool: KnownPool;
  /** The same as the pools file has it; `undefined`: workers with another file have declared it. */
  readonly inFile: Pool | undefined;
}

export interface Deployment extends AsyncDisposable {
  readonly pools: readonly Pool[];
  /** @throws Error naming the pools there are. */
  pool(name: string): Pool;
  /** Also a pool that only Redis knows, in a scope of the file. @throws Error naming the pools of the file. */
  find(name: string): Promise<FoundPool>;
  limiter(pool: KnownPool): OperableLimiter;
  /** What the pools file says of it. */
  declared(pool: Pool): PoolLimits;
  quotaLog(pool: KnownPool): QuotaLog;
  operations(pool: KnownPool): Operations;
  /** Which workers cannot call it, and why; `undefined` while all can. */
  workers(pool: KnownPool, inspection: Inspection): Promise<string | undefined>;
  usage(pool: Pool): UsageStore;
  /** The shared time. */
  readonly clock: () => number;
  /**
   * The pool's lanes that no worker serves, and those that only Redis still knows: in its scope, or in the others of the
   * file, where it was before.
   */
  strayLanes(pool: KnownPool): Promise<readonly StrayLane[]>;
}

/** A lane that is not as it should be. */
export interface StrayLane {
  readonly scope: string;
  readonly lane: string;
  /** That have not ended. */
  readonly jobs: number;
  /** Whether this pools file has it in that scope. */
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
  const spaceOf = (pool: Pick<Pool, "scope">) => keySpace(env.SLUICE_NAMESPACE, pool.scope);
  const ofFile = (name: string): Pool | undefined => (Object.hasOwn(pools, name) ? pools[name] : undefined);
  const unknown = (name: string): Error =>
    new Error(`There is no pool '${name}'. Pools: ${Object.keys(pools).join(", ")}`);
  /** By its limits, or by a lane of it that holds jobs. */
  const isKnownIn = async (name: string, scope: string): Promise<boolean> => {
    const space = spaceOf({ scope });
    const [declared, lanes] = await Promise.all([
      redis.exists(poolKeys(space, name).limits),
      knownLanes(redis, space),
    ]);
    return declared === 1 || lanes.some(({ pool }) => pool === name);
  };
  /** The pool's lanes in one scope that are not as they should be. @param lanes those that the file has there. */
  const lanesIn = async (scope: string, name: string, lanes: readonly string[]): Promise<StrayLane[]> => {
    const space = spaceOf({ scope });
    const [known, served] = await Promise.all([knownLanes(redis, space), readServed(redis, space)]);
    const found = known.filter(({ pool, lane }) => pool === name && lane !== POLLS_LANE);
    const all = new Set([...lanes, ...found.map(({ lane }) => lane)]);
    const looked = await Promise.all(
      [...all].map(async (lane): Promise<StrayLane> => {
        const unserved = describeUnserved(served, queueName(name, lane));
        const jobs = await unended(redis, space, { pool: name, lane });
        const inFile = lanes.includes(lane);
        return { scope, lane, jobs, inFile, ...(unserved === undefined ? {} : { unserved }) };
      }),
    );
    // While no worker runs at all, a lane without jobs is no news.
    return looked.filter(({ inFile, jobs, unserved }) =>
      jobs > 0 ? !inFile || unserved !== undefined : inFile && served.workers > 0 && unserved !== undefined,
    );
  };
  return {
    pools: Object.values(pools),
    pool(name) {
      const pool = ofFile(name);
      if (pool === undefined) throw unknown(name);
      return pool;
    },
    async find(name) {
      const pool = ofFile(name);
      if (pool !== undefined) return { pool, inFile: pool };
      if (!nameSchema.safeParse(name).success) throw unknown(name);
      const looked = Object.keys(scopes).map(async (scope) =>
        (await isKnownIn(name, scope)) ? [scope] : [],
      );
      const [scope] = (await Promise.all(looked)).flat();
      if (scope === undefined) throw unknown(name);
      return { pool: { name, scope, lanes: [] }, inFile: undefined };
    },
    workers: async (pool, { deniedProcesses }) =>
      (await describeWorkers(redis, spaceOf(pool), deniedProcesses))?.line,
    limiter: (pool) => createRedisLimiter({ redis, keySpace: spaceOf(pool) }),
    declared: (pool) => poolLimits(pool, scopes[pool.scope] ?? { tokensPerDay: null }),
    quotaLog: (pool) => createQuotaLog(redis, spaceOf(pool)),
    operations: (pool) => createOperations(redis, spaceOf(pool), clock),
    clock,
    usage: (pool) => new UsageStore(redis, spaceOf(pool)),
    async strayLanes({ name, lanes, scope }) {
      const own = await lanesIn(scope, name, lanes);
      const others = Object.keys(scopes).filter((each) => each !== scope);
      const elsewhere = await Promise.all(others.map(async (each) => lanesIn(each, name, [])));
      return [...own, ...elsewhere.flat()];
    },
    async [Symbol.asyncDispose]() {
      await redis.quit();
    },
  };
}
