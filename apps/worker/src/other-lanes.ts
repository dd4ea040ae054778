/**
 * The lanes of a scope that this worker does not have in its pools file: of workers with another file, and those that were
 * taken out of it while they held jobs. Their jobs are not run here, but their deadlines are kept, the dead become dead
 * letters, and what nobody serves is told of. Every worker does so; two that do it for the same lane do no harm.
 */
import type { Cancels, Outbox, Outcomes } from "@sluice/drain";
import { localTime, queueName, type Emit, type Random } from "@sluice/job";
import {
  FailedSet,
  forgetLane,
  knownLanes,
  noteLanes,
  POLLS_LANE,
  Sweeper,
  unended,
  type SweeperTimes,
  type LaneName,
} from "@sluice/queue";
import type { KeySpace } from "@sluice/redis";
import { describeUnserved, readServed } from "@sluice/results";
import type { Redis } from "ioredis";

export interface OtherLanesOptions {
  readonly keySpace: KeySpace;
  /** The lanes that this worker serves. */
  readonly own: readonly LaneName[];
  /** A connection of the `command` profile. */
  readonly redis: Redis;
  /** A connection of the `worker` profile, for the sweepers. */
  readonly queueRedis: Redis;
  readonly outcomes: Outcomes;
  readonly cancels: Cancels;
  /** What calls of a pool's jobs hold whose worker vanished. */
  readonly leftOf: (pool: string) => Outbox["left"];
  /** What the mover empties: other lanes are added to it, and taken out again. */
  readonly outboxes: Set<Outbox>;
  readonly emit: Emit;
  /** A job could not be read, and is in the failed set now. */
  readonly onUnreadable: (id: string) => void;
  readonly onError: (error: unknown) => void;
  /** By what a lane's sweeper judges times. */
  readonly times: SweeperTimes;
  readonly random: Random;
  /** Milliseconds between looks. Default 5,000. */
  readonly everyMs?: number;
}

/** How often the own lanes are noted as lanes that there are, milliseconds. */
const NOTE_EVERY_MS = 60_000;

interface Watched {
  readonly name: LaneName;
  readonly sweeper: Sweeper;
  readonly outbox: Outbox;
}

export class OtherLanes {
  readonly #options: OtherLanesOptions;
  readonly #own: ReadonlySet<string>;
  readonly #watched = new Map<string, Watched>();
  /** Lanes that were told of as unserved. */
  readonly #unserved = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> = Promise.resolve();
  #stopped = false;
  /** By the monotonic clock. */
  #notedAt = -Infinity;

  constructor(options: OtherLanesOptions) {
    this.#options = options;
    this.#own = new Set(options.own.map(({ pool, lane }) => queueName(pool, lane)));
  }

  /** Looks at once, and again and again. */
  start(): void {
    this.#look = this.#lookNow().finally(() => {
      if (this.#stopped) return;
      const { everyMs = 5_000, random } = this.#options;
      this.#timer = setTimeout(() => this.start(), everyMs * (0.75 + random() / 2));
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#look;
    await Promise.all([...this.#watched.values()].map(async ({ sweeper }) => sweeper.stop()));
  }

  async #lookNow(): Promise<void> {
    const { redis, keySpace, own, onError, times } = this.#options;
    try {
      const now = times.clock();
      const lookedAt = localTime.monotonic();
      if (lookedAt - this.#notedAt >= NOTE_EVERY_MS) {
        this.#notedAt = lookedAt;
        // A full Redis refuses it; what there is to look after is there all the same.
        await noteLanes(redis, keySpace, own, now).catch(onError);
      }
      for (const name of await knownLanes(redis, keySpace)) {
        if (this.#stopped) return;
        if (!this.#own.has(queueName(name.pool, name.lane))) await this.#lookAfter(name, now);
      }
      await this.#tellUnserved();
    } catch (error) {
      onError(error);
    }
  }

  async #lookAfter(name: LaneName, now: number): Promise<void> {
    const { redis, keySpace, outboxes } = this.#options;
    const queue = queueName(name.pool, name.lane);
    const watched = this.#watched.get(queue);
    if (await forgetLane(redis, keySpace, name, now)) {
      if (watched === undefined) return;
      this.#watched.delete(queue);
      outboxes.delete(watched.outbox);
      await watched.sweeper.stop();
    } else if (watched === undefined) {
      this.#watched.set(queue, this.#watch(name));
    }
  }

  #watch({ pool, lane }: LaneName): Watched {
    const {
      redis,
      queueRedis,
      keySpace,
      outcomes,
      cancels,
      leftOf,
      outboxes,
      times,
      emit,
      onUnreadable,
      onError,
    } = this.#options;
    const sweeper = new Sweeper({
      redis: queueRedis,
      keySpace,
      pool,
      lane,
      ...times,
      recovers: true,
      onExpired: (id) => emit("job:expired", { id }),
      onUnreadable,
      onError,
    });
    const failed = new FailedSet(redis, keySpace, pool, lane);
    const outbox: Outbox = {
      pool,
      // A letter is of a lane; the polls are none.
      lane: lane === POLLS_LANE ? "polls" : lane,
      queue: queueName(pool, lane),
      outcomes,
      cancels,
      left: leftOf(pool),
      size: async () => failed.size(),
      oldest: async (limit, skip) => failed.oldest(limit, skip),
      drop: async (job) => failed.drop(job),
    };
    outboxes.add(outbox);
    sweeper.start();
    return { name: { pool, lane }, sweeper, outbox };
  }

  /** What jobs wait in although nobody serves it, once as it begins and once as it ends. */
  async #tellUnserved(): Promise<void> {
    const { redis, keySpace, emit } = this.#options;
    const served = await readServed(redis, keySpace);
    for (const [queue, { name }] of this.#watched) {
      const jobs = await unended(redis, keySpace, name);
      const unserved = jobs > 0 && describeUnserved(served, queue) !== undefined;
      if (unserved === this.#unserved.has(queue)) continue;
      if (unserved) this.#unserved.add(queue);
      else this.#unserved.delete(queue);
      emit("lane:unserved", { ...name, unserved, jobs });
    }
  }
}
