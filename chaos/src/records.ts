/** What Sluice itself says of its jobs: outcomes and lanes in Redis, dead letters in DynamoDB. */
import type { DeadLetterState, DynamoDbStore } from "@sluice/dead-letter";
import { parseJobId, type Outcome } from "@sluice/job";
import { LaneQueue, POLLS_LANE, type LaneCounts, type LaneState } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { OutcomeStore } from "@sluice/results";
import type { Redis } from "ioredis";
import type { PoolsFile } from "./pools-file.ts";

/** Every place in which a job can be found. A job that is in none of them is lost. */
export interface Found {
  readonly outcome: Outcome | undefined;
  readonly lane: LaneState | undefined;
  /** Of an async job that was started: the queue in which it is polled. */
  readonly polls: LaneState | undefined;
  readonly letter: DeadLetterState | undefined;
}

export interface RecordsOptions {
  readonly pools: PoolsFile;
  readonly namespace: string;
  /** The owner ends it. */
  readonly redis: Redis;
  readonly letters: DynamoDbStore;
}

interface PoolRecords {
  readonly outcomes: OutcomeStore;
  /** With the one of the polls. */
  readonly lanes: ReadonlyMap<string, LaneQueue>;
}

/** Questions under way at once. */
const CONCURRENCY = 32;

export class Records {
  readonly #letters: DynamoDbStore;
  readonly #pools: ReadonlyMap<string, PoolRecords>;

  constructor({ pools, namespace, redis, letters }: RecordsOptions) {
    this.#letters = letters;
    this.#pools = new Map(
      Object.entries(pools.pools).map(([pool, { scope, lanes }]) => {
        const space = keySpace(namespace, scope);
        const queueOf = (lane: string): LaneQueue =>
          new LaneQueue({ redis, keySpace: space, pool, lane, clock: Date.now, onError: () => {} });
        return [
          pool,
          {
            outcomes: new OutcomeStore(redis, space),
            lanes: new Map([...lanes, POLLS_LANE].map((lane) => [lane, queueOf(lane)])),
          },
        ];
      }),
    );
  }

  /** The queue of a lane, to add jobs to as an API would. */
  lane(pool: string, lane: string): LaneQueue {
    const queue = this.#pools.get(pool)?.lanes.get(lane);
    if (queue === undefined) throw new Error(`There is no lane '${lane}' of a pool '${pool}'`);
    return queue;
  }

  async outcome(id: string): Promise<Outcome | undefined> {
    return this.#poolOf(id).outcomes.get(id);
  }

  /** How many of the jobs have ended. Cheap enough to ask again and again. */
  async countEnded(ids: readonly string[]): Promise<number> {
    const ended = await eachOf(ids, async (id) => (await this.outcome(id)) !== undefined);
    return ended.filter(Boolean).length;
  }

  /** Looks for every job in every place, in the order of `ids`. */
  async findAll(ids: readonly string[]): Promise<Found[]> {
    return eachOf(ids, async (id) => {
      const { lanes } = this.#poolOf(id);
      const [outcome, lane, polls, letter] = await Promise.all([
        this.outcome(id),
        lanes.get(parseJobId(id)?.lane ?? "")?.find(id),
        lanes.get(POLLS_LANE)?.find(id),
        this.#letters.get(id),
      ]);
      return { outcome, lane: lane?.state, polls: polls?.state, letter: letter?.state };
    });
  }

  /** As `findAll`, without the dead letters and the polls, and quick while most have ended. */
  async findEnds(ids: readonly string[]): Promise<Pick<Found, "outcome" | "lane">[]> {
    return eachOf(ids, async (id) => {
      const outcome = await this.outcome(id);
      if (outcome !== undefined) return { outcome, lane: undefined };
      const lane = await this.#poolOf(id)
        .lanes.get(parseJobId(id)?.lane ?? "")
        ?.find(id);
      return { outcome, lane: lane?.state };
    });
  }

  /** Jobs of all lanes by state. */
  async counts(): Promise<LaneCounts> {
    const sum = { waiting: 0, delayed: 0, active: 0, failed: 0 };
    for (const lane of [...this.#pools.values()].flatMap(({ lanes }) => [...lanes.values()])) {
      const counts = await lane.counts();
      sum.waiting += counts.waiting;
      sum.delayed += counts.delayed;
      sum.active += counts.active;
      sum.failed += counts.failed;
    }
    return sum;
  }

  async close(): Promise<void> {
    const lanes = [...this.#pools.values()].flatMap((pool) => [...pool.lanes.values()]);
    await Promise.all(lanes.map(async (lane) => lane.close()));
  }

  #poolOf(id: string): PoolRecords {
    const pool = this.#pools.get(parseJobId(id)?.pool ?? "");
    if (pool === undefined) throw new Error(`Expected the id of a job of these pools, got '${id}'`);
    return pool;
  }
}

/** Does the work for each, in order of the results, some at once. */
export async function eachOf<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const hand = async (): Promise<void> => {
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, hand));
  return results;
}
