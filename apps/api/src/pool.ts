/** One pool as the API's callers meet it: accepted into, read, cancelled in and explained. */
import { callBudgetMs, createEstimator, quotaCost, sizedPart } from "@sluice/bedrock/estimate";
import { poolLimits, type Pool, type Scope } from "@sluice/config";
import {
  answerBytes,
  LeftCalls,
  learnedAnswerBytes,
  type AcceptingPool,
  type CancellingPool,
  type Cost,
  type ExplainingPool,
  type Gate,
  type ReadingPool,
} from "@sluice/drain";
import { queueName, type Clock, type JobRequest } from "@sluice/job";
import { createRedisLimiter, misfit, type Explanation, type Inspection } from "@sluice/limits";
import { LaneQueue, POLLS_LANE, type CapacityGuard, knownLanes, unended } from "@sluice/queue";
import type { KeySpace } from "@sluice/redis";
import {
  cacheKey,
  CallLedger,
  CancelFlags,
  ChunkStream,
  type ChunkReader,
  ClaimStore,
  describeUnserved,
  describeWorkers,
  Lineage,
  OutcomeStore,
  readIdentities,
  readServed,
  readOpenCall,
  ResponseCache,
  UsageStore,
} from "@sluice/results";
import type { Redis } from "ioredis";

export interface ApiPool extends AcceptingPool, ReadingPool, CancellingPool, ExplainingPool<Explanation> {
  readonly outcomes: OutcomeStore;
  readonly chunks: ChunkStream;
  readonly polls: LaneQueue;
  readonly gate: Pick<Gate, "settle">;
  lane(name: string): LaneQueue;
  /** `undefined` while no worker has started the pool. */
  inspect(): Promise<Inspection | undefined>;
  /** The lanes that nobody serves, each with why; of those that are not in the pools file, the ones that hold jobs. */
  unservedLanes(): Promise<Readonly<Record<string, string>>>;
  close(): Promise<void>;
}

export interface ApiPoolOptions {
  readonly pool: Pool;
  readonly scope: Scope;
  readonly keySpace: KeySpace;
  readonly redis: Redis;
  /** Reads streamed text for all pools. */
  readonly reader: ChunkReader;
  readonly guard: CapacityGuard;
  /** The shared time. */
  readonly clock: Clock;
  /** Of any pool: a job of this one may have been called in a fallback of another scope. */
  readonly gateOf: (pool: string) => Pick<Gate, "settle"> | undefined;
  readonly onError: (error: unknown) => void;
}

export function createApiPool(options: ApiPoolOptions): ApiPool {
  const { pool, scope, keySpace, redis, reader, guard, clock, gateOf, onError } = options;
  const open = (lane: string): LaneQueue =>
    new LaneQueue({ redis, keySpace, pool: pool.name, lane, clock, onError });
  const lanes = new Map(pool.lanes.map((name) => [name, open(name)]));
  const polls = open(POLLS_LANE);
  const limiter = createRedisLimiter({ redis, keySpace });
  const estimator = createEstimator({ burndown: pool.burndown, model: pool.model });
  const lane = (name: string): LaneQueue => {
    const queue = lanes.get(name);
    if (queue === undefined) throw new Error(`Pool '${pool.name}' has no lane '${name}'`);
    return queue;
  };
  const usage = new UsageStore(redis, keySpace);
  const cache = new ResponseCache(redis, keySpace, clock);
  for (const each of lanes.values()) {
    guard.watch(each, {
      atMost: longestAnswerBytes(pool),
      learned: async () => {
        const tokens = await usage.meanOutputTokens(pool.name);
        return tokens === undefined ? undefined : learnedAnswerBytes(tokens);
      },
    });
  }
  return {
    lanes: pool.lanes,
    maxOutputTokens: pool.maxOutputTokens,
    defaultMaxTokens: pool.defaultMaxTokens,
    deadlineMs: pool.deadlineMs,
    maxAttempts: pool.maxAttempts,
    asyncOutputs: pool.asyncOutputs,
    cacheMs: pool.cacheMs,
    reserve(work: JobRequest): Cost {
      const sized = sizedPart(work);
      return quotaCost(sized === undefined ? 0 : estimator.reserve(sized).tokens);
    },
    tooCostly: (cost) => misfit(poolLimits(pool, scope), cost),
    claims: new ClaimStore(redis, keySpace),
    outcomes: new OutcomeStore(redis, keySpace),
    lineage: new Lineage(redis, keySpace),
    cancels: new CancelFlags(redis, keySpace),
    chunks: new ChunkStream(redis, keySpace, reader),
    gate: {
      async settle(settlement) {
        const reply = await limiter.settle(settlement);
        return reply.type === "late" ? {} : reply;
      },
    },
    left: new LeftCalls({
      pools: [pool.name, ...pool.fallback],
      gateOf,
      ledger: new CallLedger({ redis, keySpace }),
      onError,
    }),
    capacity: async (name, job) =>
      guard.check(lane(name), { jobs: pool.maxWaiting, bytes: pool.maxWaitingBytes }, job),
    lane,
    polls,
    slots: pool.slots,
    fallback: pool.fallback,
    budgetMs: (work) => callBudgetMs(pool.callTimeoutMs, work),
    explain: async (name, cost) => limiter.explain(pool.name, name, cost),
    async fleet() {
      const [inspection, { workers }] = await Promise.all([
        limiter.inspect(pool.name).catch(unlessUnknown),
        readIdentities(redis, keySpace),
      ]);
      return { calls: inspection?.reservations ?? 0, workers };
    },
    openCall: async (id) => readOpenCall(redis, keySpace, id),
    leader: async ({ tenant, pool: name }, request) =>
      cache.leader(cacheKey({ tenant, pool: name, model: pool.model, request })),
    async identity() {
      const inspection = await limiter.inspect(pool.name).catch(unlessUnknown);
      return describeWorkers(redis, keySpace, inspection?.deniedProcesses ?? []);
    },
    unserved: async (name) => describeUnserved(await readServed(redis, keySpace), queueName(pool.name, name)),
    unpolled: async () =>
      describeUnserved(await readServed(redis, keySpace), queueName(pool.name, POLLS_LANE)) !== undefined,
    async unservedLanes() {
      const [served, stray] = await Promise.all([readServed(redis, keySpace), strayLanes(options)]);
      const lines = [...pool.lanes, ...stray].map(
        (name) => [name, describeUnserved(served, queueName(pool.name, name))] as const,
      );
      return Object.fromEntries(lines.flatMap(([name, line]) => (line === undefined ? [] : [[name, line]])));
    },
    inspect: async () => limiter.inspect(pool.name).catch(unlessUnknown),
    async close() {
      await Promise.all([polls, ...lanes.values()].map(async (queue) => queue.close()));
    },
  };
}

/** Lanes of the pool that hold jobs and that this API's pools file does not have. */
async function strayLanes({ redis, keySpace, pool }: ApiPoolOptions): Promise<string[]> {
  const known = await knownLanes(redis, keySpace);
  const others = known.filter(
    ({ pool: name, lane }) => name === pool.name && lane !== POLLS_LANE && !pool.lanes.includes(lane),
  );
  const held = await Promise.all(others.map(async (name) => unended(redis, keySpace, name)));
  return others.filter((_, index) => (held[index] ?? 0) > 0).map(({ lane }) => lane);
}

/** Of a job that says nothing about it. */
function longestAnswerBytes({ defaultMaxTokens: maxTokens }: Pool): number {
  const messages = [{ role: "user" as const, content: [{ text: "?" }] }];
  return answerBytes({ kind: "converse", request: { messages, maxTokens } });
}

/** The limiter's word for a pool that nobody has declared. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof RangeError)) throw error;
}
