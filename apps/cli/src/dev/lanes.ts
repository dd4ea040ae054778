/** What the lanes hold right now, from Redis. */
import { LaneQueue } from "@sluice/queue";
import { connect, type KeySpace } from "@sluice/redis";

export interface LaneState {
  readonly lane: string;
  /** Waiting for a first try, or for the next. */
  readonly waiting: number;
  readonly active: number;
  /** Dead, not yet moved to the dead letter store. */
  readonly failed: number;
}

/** The next look tells whether Redis is back; there is nothing else to do about an error here. */
const onError = (): void => {};

export class Lanes {
  readonly #redis;
  readonly #queues: readonly { readonly lane: string; readonly queue: LaneQueue }[];

  constructor(redisUrl: string, keySpace: KeySpace, pool: string, lanes: readonly string[]) {
    this.#redis = connect(redisUrl, "command", onError);
    this.#queues = lanes.map((lane) => ({
      lane,
      queue: new LaneQueue({ redis: this.#redis, keySpace, pool, lane, clock: Date.now, onError }),
    }));
  }

  async read(): Promise<LaneState[]> {
    return Promise.all(
      this.#queues.map(async ({ lane, queue }) => {
        const { waiting, delayed, active, failed } = await queue.counts();
        return { lane, waiting: waiting + delayed, active, failed };
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#queues.map(async ({ queue }) => queue.close()));
    this.#redis.disconnect();
  }
}
