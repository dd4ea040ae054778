/** The reconciler of replays, wired: the lanes of every pool, how their jobs ended, and the dead letter store. */
import type { DeadLetterStore } from "@sluice/dead-letter";
import { laneOrPolls, Reconciler, type ReconciledLane } from "@sluice/drain";
import type { OpenPool } from "@sluice/installation";
import type { Clock, Emit, Listener } from "@sluice/job";

export interface ReplaysOptions {
  readonly pools: readonly OpenPool[];
  readonly letters: DeadLetterStore;
  /** Milliseconds between sweeps. */
  readonly everyMs: number;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Events of a job that has its answer, or of which nobody wants one any more. */
const ANSWERED: ReadonlySet<string> = new Set(["job:completed", "job:filtered", "job:cancelled"]);

const PAGE = 100;

export class Replays {
  readonly #reconciler: Reconciler;

  constructor(options: ReplaysOptions) {
    const { letters, everyMs, emit, clock } = options;
    this.#reconciler = new Reconciler({
      lanes: options.pools.flatMap(lanesOf),
      letters: {
        replaying: async (lane, cursor) => {
          const from = cursor === undefined ? {} : { cursor };
          const page = await letters.list({ state: "replaying", by: { lane }, limit: PAGE, ...from });
          const items = page.items.filter((letter) => letter.state === "replaying");
          if (page.unreadable !== undefined) {
            options.onError(new Error(`Letters cannot be read: ${page.unreadable.join(", ")}`));
          }
          return { ...page, items };
        },
        died: async (lane, state, { from, until }, cursor) => {
          const at = cursor === undefined ? {} : { cursor };
          return letters.list({ state, by: { lane }, from, until, limit: PAGE, ...at });
        },
        claim: async (id, command) => letters.claim(id, command),
        resolve: async (id) => letters.resolve(id),
        release: async (id, command) => letters.release(id, command),
      },
      everyMs,
      emit,
      clock,
      random: Math.random,
    });
  }

  /** Resolves the letter of a replay as soon as it has ended here. */
  readonly listener: Listener = (name, event) => {
    if (ANSWERED.has(name) && "id" in event) this.#reconciler.ended(event.id);
  };

  /** As `Reconciler.redisChanged`. */
  redisChanged(...change: Parameters<Reconciler["redisChanged"]>): void {
    this.#reconciler.redisChanged(...change);
  }

  start(): void {
    this.#reconciler.start();
  }

  async stop(): Promise<void> {
    await this.#reconciler.stop();
  }
}

function lanesOf(pool: OpenPool): ReconciledLane[] {
  return pool.lanes.map((lane) => {
    const queue = pool.lane(lane);
    return {
      pool: pool.name,
      lane,
      deadlineMs: pool.deadlineMs,
      outcomes: pool.outcomes,
      lineage: pool.lineage,
      find: laneOrPolls(queue, pool.polls),
      add: async (job) => queue.add(job),
    };
  });
}
