/** How the pools stand, read from Redis once for everybody who watches. */
import { poolLimits, type Pool, type Pools } from "@sluice/config";
import { queueName, type Clock } from "@sluice/job";
import { createOperations, createRedisLimiter, type Inspection, type Quota } from "@sluice/limits";
import { keySpace, type connect } from "@sluice/redis";
import { describeIdentities, describeUnservedPool, readIdentities, readServed } from "@sluice/results";
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

export class PoolWatches {
  readonly #options: PoolWatchesOptions;
  readonly #watches = new Map<string, PoolWatch>();

  constructor(options: PoolWatchesOptions) {
    this.#options = options;
  }

  /** The quota as the pools file has it. */
  declared(pool: Pool): Quota {
    return poolLimits(pool, this.#options.pools.scopes[pool.scope] ?? { tokensPerDay: null }).quota;
  }

  of(pool: Pool): PoolWatch {
    const key = `${pool.scope} ${pool.name}`;
    const known = this.#watches.get(key);
    if (known !== undefined) return known;
    const { redis, namespace } = this.#options;
    const space = keySpace(namespace, pool.scope);
    const limiter = createRedisLimiter({ redis, keySpace: space });
    const operations = createOperations(redis, space);
    const watch: PoolWatch = new Kept<PoolSeen>({
      load: async () => {
        const [inspection, identities, [operation], served] = await Promise.all([
          limiter.inspect(pool.name).catch(unlessUnknown),
          readIdentities(redis, space),
          operations.entries(pool.name, 1),
          readServed(redis, space),
        ]);
        if (inspection === undefined) return { state: undefined, served };
        const identity = describeIdentities(identities)?.line;
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

  /** All pools, each in one line. */
  async now(): Promise<PoolNow[]> {
    return Promise.all(
      Object.values(this.#options.pools.pools).map(async (pool) => {
        const watch = this.of(pool);
        const seen = await watch.read();
        const queues = pool.lanes.map((lane) => queueName(pool.name, lane));
        const unserved = seen && describeUnservedPool(seen.served, queues);
        const known = { state: seen?.state, problem: watch.problem, unserved };
        return poolNow(pool.name, known, this.declared(pool));
      }),
    );
  }
}

/** The limiter's word for a pool that nobody has declared. */
function unlessUnknown(error: unknown): Inspection | undefined {
  if (error instanceof RangeError) return undefined;
  throw error;
}
