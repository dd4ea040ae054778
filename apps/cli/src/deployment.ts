/** A running deployment as the CLI operates on it: its pools, and their limits in Redis. */
import { poolLimits, type Pool } from "@sluice/config";
import type { OpenScope } from "@sluice/installation";
import { nameSchema, queueName } from "@sluice/job";
import {
  poolKeys,
  type Inspection,
  type OperableLimiter,
  type Operations,
  type PoolLimits,
  type QuotaLog,
} from "@sluice/limits";
import { deploymentEnv, parseEnv } from "@sluice/process";
import { POLLS_LANE } from "@sluice/queue";
import { describeUnserved, type UsageStore } from "@sluice/results";
import { z } from "zod";
import { openInstallation } from "./installation.ts";

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
  /** How its limits stand; `undefined` while no worker has declared it. */
  inspect(pool: KnownPool): Promise<Inspection | undefined>;
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
  const installation = await openInstallation(parseEnv(envSchema, process.env), "command");
  const { redis, clock } = installation;
  const { pools, scopes } = installation.file;
  const scopeOf = ({ scope }: Pick<Pool, "scope">): OpenScope => installation.scope(scope);
  const ofFile = (name: string): Pool | undefined => (Object.hasOwn(pools, name) ? pools[name] : undefined);
  const unknown = (name: string): Error =>
    new Error(`There is no pool '${name}'. Pools: ${Object.keys(pools).join(", ")}`);
  /** By its limits, or by a lane of it that holds jobs. */
  const isKnownIn = async (name: string, scope: OpenScope): Promise<boolean> => {
    const [declared, lanes] = await Promise.all([
      redis.exists(poolKeys(scope.keySpace, name).limits),
      scope.knownLanes(),
    ]);
    return declared === 1 || lanes.some(({ pool }) => pool === name);
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
      const looked = [...installation.scopes.values()].map(async (scope) =>
        (await isKnownIn(name, scope)) ? [scope.name] : [],
      );
      const [scope] = (await Promise.all(looked)).flat();
      if (scope === undefined) throw unknown(name);
      return { pool: { name, scope, lanes: [] }, inFile: undefined };
    },
    inspect: async (pool) => scopeOf(pool).inspect(pool.name),
    workers: async (pool, { deniedProcesses }) =>
      (await scopeOf(pool).describeWorkers(deniedProcesses))?.line,
    limiter: (pool) => scopeOf(pool).limiter,
    declared: (pool) => poolLimits(pool, scopes[pool.scope] ?? { tokensPerDay: null }),
    quotaLog: (pool) => scopeOf(pool).quotaLog,
    operations: (pool) => scopeOf(pool).operations,
    clock,
    usage: (pool) => scopeOf(pool).usage,
    async strayLanes({ name, lanes, scope: own }) {
      const found = await Promise.all(
        [...installation.scopes.values()].map(async (scope) =>
          lanesIn(scope, name, scope.name === own ? lanes : []),
        ),
      );
      return found.flat();
    },
    async [Symbol.asyncDispose]() {
      await installation.close();
    },
  };
}

/** The pool's lanes in one scope that are not as they should be. @param lanes those that the file has there. */
async function lanesIn(scope: OpenScope, name: string, lanes: readonly string[]): Promise<StrayLane[]> {
  const [known, served] = await Promise.all([scope.knownLanes(), scope.served()]);
  const found = known.filter(({ pool, lane }) => pool === name && lane !== POLLS_LANE);
  const all = new Set([...lanes, ...found.map(({ lane }) => lane)]);
  const looked = await Promise.all(
    [...all].map(async (lane): Promise<StrayLane> => {
      const unserved = describeUnserved(served, queueName(name, lane));
      const jobs = await scope.unended({ pool: name, lane });
      const inFile = lanes.includes(lane);
      return { scope: scope.name, lane, jobs, inFile, ...(unserved === undefined ? {} : { unserved }) };
    }),
  );
  // While no worker runs at all, a lane without jobs is no news.
  return looked.filter(({ inFile, jobs, unserved }) =>
    jobs > 0 ? !inFile || unserved !== undefined : inFile && served.workers > 0 && unserved !== undefined,
  );
}
