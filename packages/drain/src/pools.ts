/** The pools that a question about a job may be about: those of the pools file, and lanes that only Redis still knows. */
import type { JobIdParts } from "@sluice/job";

export interface PoolsAsked<Pool extends { readonly lanes: readonly string[] }> {
  /** Those of the pools file, by name. */
  readonly pools: ReadonlyMap<string, Pool>;
  /**
   * A lane that the file does not name, or not in that scope: of workers with another file, taken out of it while it held
   * jobs, or of a pool that was moved to another scope. `undefined` when there is none. Default: there is none.
   */
  readonly elsewhere?: (pool: string, lane: string) => Promise<Pool | undefined>;
}

/** The pool in which a job of that id is looked for first. */
export async function poolOf<Pool extends { readonly lanes: readonly string[] }>(
  { pools, elsewhere }: PoolsAsked<Pool>,
  { pool: name, lane }: Pick<JobIdParts, "pool" | "lane">,
): Promise<Pool | undefined> {
  const pool = pools.get(name);
  if (pool?.lanes.includes(lane) === true) return pool;
  return elsewhere?.(name, lane);
}

/** A pool that can tell whether it holds a job. */
interface HoldingPool {
  readonly lanes: readonly string[];
  lane(name: string): { find(id: string): Promise<unknown> };
  readonly polls: { find(id: string): Promise<unknown> };
}

/**
 * The pool that holds a job which has not ended. A pool that was moved to another scope is there twice: as the file has it,
 * and where its former jobs are. The former one is asked about only when the first does not know the job.
 */
export async function holderOf<Pool extends HoldingPool>(
  asked: PoolsAsked<Pool>,
  parts: Pick<JobIdParts, "pool" | "lane">,
  id: string,
): Promise<Pool | undefined> {
  const first = await poolOf(asked, parts);
  if (first === undefined || asked.elsewhere === undefined || (await holds(first, parts.lane, id)))
    return first;
  const former = await asked.elsewhere(parts.pool, parts.lane);
  return former !== undefined && (await holds(former, parts.lane, id)) ? former : first;
}

async function holds(pool: HoldingPool, lane: string, id: string): Promise<boolean> {
  const found = await Promise.all([pool.lane(lane).find(id), pool.polls.find(id)]);
  return found.some((each) => each !== undefined);
}
