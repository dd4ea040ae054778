/** How the pools stand, read from Redis once for everybody who watches. */
import { poolLimits, type Pool, type Pools } from "@sluice/config";
import { queueName, type Clock } from "@sluice/job";
import { createOperations, createRedisLimiter, type Inspection, type Quota } from "@sluice/limits";
import { knownLanes } from "@sluice/queue";
import { keySpace, type connect } from "@sluice/redis";
import { describeUnservedPool, describeWorkers, readServed } from "@sluice/results";
import { Kept, PATIENCE_MS } from "../kept.ts";
import type { PoolNow } from "../pages/pools.ts";
import { poolNow, type PoolSeen } from "./pool-line.ts";

export interface PoolWatchesOptions {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redis: ReturnType<typeof connect>;
  readonly clock: Clock;
}

export type PoolWatch = Kept<PoolSeen>;

/** How long a pool's figures serve, milliseconds. */
const POOL_AGE_MS = 1_000;

/** How long it serves which pools there are beyond the file, milliseconds. */
const ELSEWHERE_AGE_MS = 5_000;

/** Pools beyond the file that are shown at most. */
const MOST_ELSEWHERE = 100;

/** Said first of a pool or a lane that only workers with another file have. */
export const NOT_IN_FILE = "Not in this board's pools file";

export class PoolWatches {
  readonly #options: PoolWatchesOptions;
  readonly #watches = new Map<string, PoolWatch>();

  readonly #elsewhere: Kept<readonly Pick<Pool, "name" | "scope">[]>;

  constructor(options: PoolWatchesOptions) {
    this.#options = options;
    this.#elsewhere = new Kept({
      load: async () => this.#findElsewhere(),
      maxAgeMs: ELSEWHERE_AGE_MS,
      patienceMs: PATIENCE_MS,
      clock: options.clock,
    });
  }

  /** The quota as the pools file has it. */
  declared(pool: Pool): Quota {
    return poolLimits(pool, this.#options.pools.scopes[pool.scope] ?? { tokensPerDay: null }).quota;
  }

  of(pool: Pick<Pool, "name" | "scope">): PoolWatch {
    const key = `${pool.scope} ${pool.name}`;
    const known = this.#watches.get(key);
    if (known !== undefined) return known;
    const { redis, namespace } = this.#options;
    const space = keySpace(namespace, pool.scope);
    const limiter = createRedisLimiter({ redis, keySpace: space });
    const operations = createOperations(redis, space);
    const watch: PoolWatch = new Kept<PoolSeen>({
      load: async () => {
        const [inspection, [operation], served] = await Promise.all([
          limiter.inspect(pool.name).catch(unlessUnknown),
          operations.entries(pool.name, 1),
          readServed(redis, space),
        ]);
        if (inspection === undefined) return { state: undefined, served };
        const workers = await describeWorkers(redis, space, inspection.deniedProcesses);
        const identity = workers?.line;
        const state = {
          ...inspection,
          ...(identity === undefined ? {} : { identity }),
          ...(operation === undefined ? {} : { operation }),
        };
        return { state, served };
      },
      maxAgeMs: POOL_AGE_MS,
      patienceMs: PATIENCE_MS,
      clock: this.#options.clock,
    });
    this.#watches.set(key, watch);
    return watch;
  }

  /** All pools, each in one line: those of the file, then those that only workers with another file have. */
  async now(): Promise<PoolNow[]> {
    const inFile = Object.values(this.#options.pools.pools);
    const elsewhere = (await this.#elsewhere.read()) ?? [];
    const lines = await Promise.all([
      ...inFile.map(async (pool) => {
        const queues = pool.lanes.map((lane) => queueName(pool.name, lane));
        return this.#line(pool, { declared: this.declared(pool), queues });
      }),
      ...elsewhere.map(async (pool) => this.#line(pool)),
    ]);
    return lines.flat();
  }

  /** None of a pool that is in no file, and that no worker has declared. */
  async #line(
    pool: Pick<Pool, "name" | "scope">,
    inFile?: { readonly declared: Quota; readonly queues: readonly string[] },
  ): Promise<PoolNow[]> {
    const watch = this.of(pool);
    const seen = await watch.read();
    const unserved = seen && inFile && describeUnservedPool(seen.served, inFile.queues);
    const known = { state: seen?.state, problem: watch.problem, unserved };
    const now = poolNow(pool.name, known, inFile?.declared);
    if (inFile !== undefined) return [now];
    return seen?.state === undefined ? [] : [{ ...now, line: `${NOT_IN_FILE} · ${now.line}` }];
  }

  async #findElsewhere(): Promise<readonly Pick<Pool, "name" | "scope">[]> {
    const { pools, redis, namespace } = this.#options;
    const found = await Promise.all(
      Object.keys(pools.scopes).map(async (scope) => {
        const lanes = await knownLanes(redis, keySpace(namespace, scope));
        const names = new Set(lanes.map(({ pool }) => pool));
        return [...names].filter((name) => pools.pools[name] === undefined).map((name) => ({ name, scope }));
      }),
    );
    return found.flat().slice(0, MOST_ELSEWHERE);
  }
}

/** The limiter's word for a pool that nobody has declared. */
function unlessUnknown(error: unknown): Inspection | undefined {
  if (error instanceof RangeError) return undefined;
  throw error;
}
