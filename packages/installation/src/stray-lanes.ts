/**
 * Lanes that the pools file does not name, or not in that scope, and Redis still knows: of workers with another file, taken
 * out of the file while they held jobs, or of a pool that was moved to another scope. Nothing new is accepted into them, but
 * what is in them can be read, explained and cancelled.
 */
import type { Pool, Pools, Scope } from "@sluice/config";
import { queueName } from "@sluice/job";
import { POLLS_LANE } from "@sluice/queue";
import type { Installation } from "./installation.ts";
import { OpenPool } from "./pool.ts";

/** A lane that a pools file does not name. */
export interface StrayLane {
  readonly scope: string;
  readonly pool: string;
  readonly lane: string;
  /** A pool with that lane alone: what the file says of the pool, or else of another one of its scope. */
  readonly open: OpenPool;
}

/**
 * The stray lane of that name, in any scope of the file but the one where the file has it; `undefined` when there is none.
 * Rejects when Redis does not answer.
 */
export async function findStrayLane(
  installation: Installation,
  pool: string,
  lane: string,
): Promise<StrayLane | undefined> {
  const { pools, scopes } = installation.file;
  const own = pools[pool];
  for (const file of Object.values(scopes)) {
    // There it is a lane of the file.
    if (own?.scope === file.name && own.lanes.includes(lane)) continue;
    // oxlint-disable-next-line no-await-in-loop -- there are few scopes, and the first that knows it is the one
    if (!(await installation.scope(file.name).isKnownLane({ pool, lane }))) continue;
    return stray(installation, { file, pool, lane });
  }
  return undefined;
}

/**
 * The stray lanes that hold jobs, by scope and queue. A lane of a queue's name that the file has too, in another scope, is
 * left out: there is one page for both.
 * @param most how many at most.
 */
export async function strayLanes(
  installation: Installation,
  most: number,
): Promise<ReadonlyMap<string, StrayLane>> {
  const { pools, scopes } = installation.file;
  const inFile = new Set(
    Object.values(pools).flatMap(({ name, lanes }) => lanes.map((lane) => queueName(name, lane))),
  );
  const found = new Map<string, StrayLane>();
  for (const file of Object.values(scopes)) {
    const scope = installation.scope(file.name);
    // oxlint-disable-next-line no-await-in-loop -- there are few scopes, and nobody waits for this
    for (const { pool, lane } of await scope.knownLanes()) {
      if (lane === POLLS_LANE || inFile.has(queueName(pool, lane))) continue;
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (found.size >= most || (await scope.unended({ pool, lane })) === 0) continue;
      found.set(`${file.name} ${queueName(pool, lane)}`, stray(installation, { file, pool, lane }));
    }
  }
  return found;
}

/** Lanes of the pool, in its scope, that hold jobs and that the pools file does not have. */
export async function strayLanesOf({ name, lanes, scope }: OpenPool): Promise<string[]> {
  const others = (await scope.knownLanes()).filter(
    ({ pool, lane }) => pool === name && lane !== POLLS_LANE && !lanes.includes(lane),
  );
  const held = await Promise.all(others.map(async (other) => scope.unended(other)));
  return others.filter((_, index) => (held[index] ?? 0) > 0).map(({ lane }) => lane);
}

/** What is left to know of a pool that is in no file, or now in another scope: as much as the file says of it, or of another. */
function likeness({ pools }: Pools, name: string, scope: string): Pool {
  const others = Object.values(pools);
  const like = pools[name] ?? others.find((pool) => pool.scope === scope) ?? others[0];
  if (like === undefined) throw new Error("A pools file without pools");
  return like;
}

interface Found {
  readonly file: Scope;
  readonly pool: string;
  readonly lane: string;
}

function stray(installation: Installation, { file, pool, lane }: Found): StrayLane {
  const like = likeness(installation.file, pool, file.name);
  const scope = installation.scope(file.name);
  const open = new OpenPool({ ...like, name: pool, scope: file.name, lanes: [lane] }, file, scope);
  return { scope: file.name, pool, lane, open };
}
