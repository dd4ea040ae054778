/** One pool as the API's callers meet it: accepted into, read, cancelled in and explained. */
import { callBudgetMs } from "@sluice/bedrock/estimate";
import {
  LeftCalls,
  type AcceptingPool,
  type CancellingPool,
  type ExplainingPool,
  type Gate,
  type ReadingPool,
} from "@sluice/drain";
import { queueName } from "@sluice/job";
import { acceptingPool, strayLanesOf, type OpenPool } from "@sluice/installation";
import type { Explanation, Inspection } from "@sluice/limits";
import { POLLS_LANE, type CapacityGuard, type LaneQueue } from "@sluice/queue";
import { cacheKey, describeUnserved, type ChunkStream } from "@sluice/results";

export interface ApiPool extends AcceptingPool, ReadingPool, CancellingPool, ExplainingPool<Explanation> {
  readonly chunks: ChunkStream;
  readonly gate: Pick<Gate, "settle">;
  readonly outcomes: OpenPool["outcomes"];
  readonly polls: LaneQueue;
  lane(name: string): LaneQueue;
  /** `undefined` while no worker has started the pool. */
  inspect(): Promise<Inspection | undefined>;
  /** The lanes that nobody serves, each with why; of those that are not in the pools file, the ones that hold jobs. */
  unservedLanes(): Promise<Readonly<Record<string, string>>>;
}

export interface ApiPoolOptions {
  readonly open: OpenPool;
  readonly guard: CapacityGuard;
  /** Of any pool: a job of this one may have been called in a fallback of another scope. */
  readonly gateOf: (pool: string) => Pick<Gate, "settle"> | undefined;
  readonly onError: (error: unknown) => void;
}

export function createApiPool({ open, guard, gateOf, onError }: ApiPoolOptions): ApiPool {
  const { pool, scope } = open;
  const { limiter, cache } = scope;
  return {
    ...acceptingPool(open, guard),
    outcomes: scope.outcomes,
    lineage: scope.lineage,
    cancels: scope.cancels,
    chunks: scope.chunks,
    polls: open.polls,
    lane: (name) => open.lane(name),
    gate: {
      async settle(settlement) {
        const reply = await limiter.settle(settlement);
        return reply.type === "late" ? {} : reply;
      },
    },
    left: new LeftCalls({
      pools: [pool.name, ...pool.fallback],
      gateOf,
      ledger: scope.ledger,
      onError,
    }),
    slots: pool.slots,
    fallback: pool.fallback,
    budgetMs: (work) => callBudgetMs(pool.callTimeoutMs, work),
    explain: async (name, cost) => limiter.explain(pool.name, name, cost),
    async fleet() {
      const [inspection, { workers }] = await Promise.all([open.inspect(), scope.identities()]);
      return { calls: inspection?.reservations ?? 0, workers };
    },
    openCall: async (id) => scope.openCall(id),
    leader: async ({ tenant, pool: name }, request) =>
      cache.leader(cacheKey({ tenant, pool: name, model: pool.model, request })),
    identity: async () => open.identity(),
    unserved: async (name) => describeUnserved(await scope.served(), queueName(pool.name, name)),
    unpolled: async () =>
      describeUnserved(await scope.served(), queueName(pool.name, POLLS_LANE)) !== undefined,
    async unservedLanes() {
      const [served, stray] = await Promise.all([scope.served(), strayLanesOf(open)]);
      const lines = [...pool.lanes, ...stray].map(
        (name) => [name, describeUnserved(served, queueName(pool.name, name))] as const,
      );
      return Object.fromEntries(lines.flatMap(([name, line]) => (line === undefined ? [] : [[name, line]])));
    },
    inspect: async () => open.inspect(),
  };
}
