/** What the lanes hold right now, from Redis. */
import { Installation, type InstallationOptions } from "@sluice/installation";

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
  readonly #installation: Installation;
  readonly #pool: string;
  readonly #lanes: readonly string[];

  constructor(
    { pools, namespace, redisUrl }: Pick<InstallationOptions, "pools" | "namespace" | "redisUrl">,
    pool: string,
    lanes: readonly string[],
  ) {
    this.#installation = new Installation({ pools, namespace, redisUrl, profile: "command", onError });
    this.#pool = pool;
    this.#lanes = lanes;
  }

  async read(): Promise<LaneState[]> {
    const pool = this.#installation.pools.get(this.#pool);
    if (pool === undefined) throw new Error(`There is no pool '${this.#pool}'`);
    return Promise.all(
      this.#lanes.map(async (lane) => {
        const { waiting, delayed, active, failed } = await pool.lane(lane).counts();
        return { lane, waiting: waiting + delayed, active, failed };
      }),
    );
  }

  async close(): Promise<void> {
    await this.#installation.close();
  }
}
