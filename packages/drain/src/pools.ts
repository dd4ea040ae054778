/** The pools that a question about a job may be about: those of the pools file, and lanes that only Redis still knows. */
import type { JobIdParts } from "@sluice/job";

export interface PoolsAsked<Pool extends { readonly lanes: readonly string[] }> {
  /** Those of the pools file, by name. */
  readonly pools: ReadonlyMap<string, Pool>;
  /**
   * A lane that the file does not name: of workers with another file, or taken out of it while it held jobs. `undefined`
   * when there is none. Default: there is none.
   */
  readonly elsewhere?: (pool: string, lane: string) => Promise<Pool | undefined>;
}

/** The pool in which a job of that id is, or was. */
export async function poolOf<Pool extends { readonly lanes: readonly string[] }>(
  { pools, elsewhere }: PoolsAsked<Pool>,
  { pool: name, lane }: Pick<JobIdParts, "pool" | "lane">,
): Promise<Pool | undefined> {
  const pool = pools.get(name);
  if (pool?.lanes.includes(lane) === true) return pool;
  return elsewhere?.(name, lane);
}
