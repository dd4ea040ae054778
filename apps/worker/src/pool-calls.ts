/** How a pool is called from this process: by its own lanes, and by those of pools whose jobs it may answer. */
import { HungCalls, laneOfRank, type Entry, type Model } from "@sluice/drain";
import type { Pool } from "@sluice/config";
import type { OpenPool } from "@sluice/installation";
import type { LocalTime } from "@sluice/job";
import { Slots } from "@sluice/queue";
import { createModel } from "./model.ts";
import type { WorkerScope } from "./scope.ts";

export interface PoolCalls {
  readonly pool: Pool;
  readonly open: OpenPool;
  readonly scope: WorkerScope;
  readonly slots: Slots;
  readonly model: Model;
  readonly hung: HungCalls;
}

export function openPoolCalls(
  open: OpenPool,
  scope: WorkerScope,
  monotonic: LocalTime["monotonic"],
): PoolCalls {
  const { pool, limits } = open;
  // What the lanes get of the quota, whatever the others ask for, they get of the slots too.
  const shares = Object.fromEntries(limits.lanes.map(({ name, share }) => [name, share]));
  const slots = new Slots(pool.lanes, pool.slots, shares);
  const hung = new HungCalls({ slots, kept: pool.lanes.length - 1, clock: monotonic });
  const model = hung.watch(createModel(pool, scope.bedrockFor(pool.name), scope.onUsage));
  return { pool, open, scope, slots, model, hung };
}

/** A pool itself, then its fallbacks: each with its own lane, model, slots, credentials and breaker. */
export function chainOf(
  own: PoolCalls,
  all: ReadonlyMap<string, PoolCalls>,
): readonly [PoolCalls, ...PoolCalls[]] {
  const fallbacks = own.pool.fallback.flatMap((name) => {
    const calls = all.get(name);
    return calls === undefined ? [] : [calls];
  });
  return [own, ...fallbacks];
}

/** A pool in the chain of another (or its own), as the drain asks it. */
export function entryOf({ pool, scope, slots, model }: PoolCalls, from: Pool): Entry {
  return {
    pool: pool.name,
    laneFor: (lane) => laneOfRank(lane, { from: from.lanes, to: pool.lanes }),
    gate: scope.gate,
    model,
    tryAcquire: (lane) => slots.tryAcquireCall(lane),
    acquire: async (lane, signal) => slots.acquireCall(lane, signal),
  };
}
