/**
 * Lanes that the pools file does not name, or not in that scope, and Redis still knows: of workers with another file, taken
 * out of the file while they held jobs, or of a pool that was moved to another scope. Nothing new is accepted into them, but what is in them can be read, explained and cancelled.
 */
import type { Pool, Pools, Scope } from "@sluice/config";
import { queueName } from "@sluice/job";
import { isKnownLane } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { ApiPool } from "./pool.ts";

export interface ElsewhereOptions {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redis: Redis;
  readonly open: (pool: Pool, scope: Scope) => ApiPool;
}

/** Lanes that are kept open at a time; far more than a change of a file takes out. */
const MOST_OPEN = 200;

export class Elsewhere {
  readonly #options: ElsewhereOptions;
  readonly #open = new Map<string, ApiPool>();

  constructor(options: ElsewhereOptions) {
    this.#options = options;
  }

  /** All that were opened. */
  get opened(): readonly ApiPool[] {
    return [...this.#open.values()];
  }

  /** A lane that was found before. */
  known(pool: string, lane: string): ApiPool | undefined {
    return this.#open.get(queueName(pool, lane));
  }

  /** Looks for the lane in every scope of the file but the one where the file has it. Rejects when Redis does not answer. */
  async find(pool: string, lane: string): Promise<ApiPool | undefined> {
    const { pools, namespace, redis, open } = this.#options;
    const known = this.known(pool, lane);
    if (known !== undefined || this.#open.size >= MOST_OPEN) return known;
    const own = pools.pools[pool];
    for (const scope of Object.values(pools.scopes)) {
      // There it is a lane of the file.
      if (own?.scope === scope.name && own.lanes.includes(lane)) continue;
      // oxlint-disable-next-line no-await-in-loop -- there are few scopes, and the first that knows it is the one
      if (!(await isKnownLane(redis, keySpace(namespace, scope.name), { pool, lane }))) continue;
      const like = likeness(pools, pool, scope);
      const found =
        this.known(pool, lane) ?? open({ ...like, name: pool, scope: scope.name, lanes: [lane] }, scope);
      this.#open.set(queueName(pool, lane), found);
      return found;
    }
    return undefined;
  }
}

/** What is left to know of a pool that is in no file, or now in another scope: as much as the file says of it, or of another. */
function likeness({ pools }: Pools, name: string, scope: Scope): Pool {
  const others = Object.values(pools);
  const like = pools[name] ?? others.find((pool) => pool.scope === scope.name) ?? others[0];
  if (like === undefined) throw new Error("A pools file without pools");
  return like;
}
