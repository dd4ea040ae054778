/** Lanes that hold jobs and are in no pools file of this board: of workers with another file, or taken out of it. */
import type { Pool, Pools } from "@sluice/config";
import { queueName } from "@sluice/job";
import { knownLanes, POLLS_LANE, unended } from "@sluice/queue";
import { keySpace, type connect } from "@sluice/redis";

export interface StrayLane {
  readonly scope: string;
  readonly pool: string;
  readonly lane: string;
  /** A pool of the file, for what is not known of this one. */
  readonly like: Pool;
}

/** Lanes that are shown at most. */
const MOST_SHOWN = 100;

/** By scope and queue. A lane of a queue's name that the file has too, in another scope, is left out: it has one page. */
export async function strayLanes(
  redis: ReturnType<typeof connect>,
  namespace: string,
  { pools, scopes }: Pools,
): Promise<ReadonlyMap<string, StrayLane>> {
  const inFile = new Set(
    Object.values(pools).flatMap(({ name, lanes }) => lanes.map((lane) => queueName(name, lane))),
  );
  const found = new Map<string, StrayLane>();
  for (const { name: scope } of Object.values(scopes)) {
    const space = keySpace(namespace, scope);
    // oxlint-disable-next-line no-await-in-loop -- there are few scopes, and nobody waits for this
    for (const { pool, lane } of await knownLanes(redis, space)) {
      const like = pools[pool] ?? Object.values(pools).find((each) => each.scope === scope);
      if (like === undefined || lane === POLLS_LANE || inFile.has(queueName(pool, lane))) continue;
      // oxlint-disable-next-line no-await-in-loop -- as above
      if ((await unended(redis, space, { pool, lane })) === 0) continue;
      if (found.size < MOST_SHOWN)
        found.set(`${scope} ${queueName(pool, lane)}`, { scope, pool, lane, like });
    }
  }
  return found;
}
