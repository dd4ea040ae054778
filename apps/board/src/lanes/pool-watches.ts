/** How the pools stand, read from Redis once for everybody who watches. */
import { poolLimits, type Pool } from "@sluice/config";
import type { Installation } from "@sluice/installation";
import { queueName } from "@sluice/job";
import type { Quota } from "@sluice/limits";
import { describeUnservedPool } from "@sluice/results";
import { Kept, PATIENCE_MS } from "../kept.ts";
import type { PoolNow } from "../pages/pools.ts";
import { poolNow, type PoolSeen } from "./pool-line.ts";

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
  readonly #installation: Installation;
  readonly #watches = new Map<string, PoolWatch>();
  readonly #elsewhere: Kept<readonly Pick<Pool, "name" | "scope">[]>;

  constructor(installation: Installation) {
    this.#installation = installation;
    this.#elsewhere = new Kept({
      load: async () => this.#findElsewhere(),
      maxAgeMs: ELSEWHERE_AGE_MS,
      patienceMs: PATIENCE_MS,
      clock: installation.clock,
    });
  }

  /** The quota as the pools file has it. */
  declared(pool: Pool): Quota {
    const { scopes } = this.#installation.file;
    return poolLimits(pool, scopes[pool.scope] ?? { tokensPerDay: null }).quota;
  }

  of(pool: Pick<Pool, "name" | "scope">): PoolWatch {
    const key = `${pool.scope} ${pool.name}`;
    const known = this.#watches.get(key);
    if (known !== undefined) return known;
    const scope = this.#installation.scope(pool.scope);
    const watch: PoolWatch = new Kept<PoolSeen>({
      load: async () => {
        const [inspection, [operation], served] = await Promise.all([
          scope.inspect(pool.name),
          scope.operations.entries(pool.name, 1),
          scope.served(),
        ]);
        if (inspection === undefined) return { state: undefined, served };
        const workers = await scope.describeWorkers(inspection.deniedProcesses);
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
      clock: this.#installation.clock,
    });
    this.#watches.set(key, watch);
    return watch;
  }

  /** All pools, each in one line: those of the file, then those that only workers with another file have. */
  async now(): Promise<PoolNow[]> {
    const inFile = Object.values(this.#installation.file.pools);
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
    const { pools } = this.#installation.file;
    const found = await Promise.all(
      [...this.#installation.scopes.values()].map(async (scope) => {
        const names = new Set((await scope.knownLanes()).map(({ pool }) => pool));
        return [...names]
          .filter((name) => pools[name] === undefined)
          .map((name) => ({ name, scope: scope.name }));
      }),
    );
    return found.flat().slice(0, MOST_ELSEWHERE);
  }
}
