/**
 * The lanes of a scope that this worker does not have in its pools file: of workers with another file, and those that were
 * taken out of it while they held jobs. Their jobs are not run here, but their deadlines are kept, the dead become dead
 * letters, and what nobody serves is told of. Every worker does so; two that do it for the same lane do no harm.
 */
import { LeftCalls, type Outbox } from "@sluice/drain";
import { queueName, Rounds } from "@sluice/job";
import { forgetLane, noteLanes, POLLS_LANE, Sweeper, type LaneName } from "@sluice/queue";
import { describeUnserved } from "@sluice/results";
import { tellError, type Fittings } from "./fittings.ts";
import { outboxOf } from "./outbox.ts";
import type { WorkerScope } from "./scope.ts";

export interface OtherLanesOptions {
  readonly fittings: Fittings;
  readonly scope: WorkerScope;
  /** What the mover empties: other lanes are added to it, and taken out again. */
  readonly outboxes: Set<Outbox>;
}

/** Pause between looks, milliseconds. */
const LOOK_EVERY_MS = 5_000;

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
  readonly #rounds: Rounds;
  #stopped = false;
  /** By the monotonic clock. */
  #notedAt = -Infinity;

  constructor(options: OtherLanesOptions) {
    this.#options = options;
    const { scope, fittings } = options;
    this.#own = new Set(scope.lanes.map(({ pool, lane }) => queueName(pool, lane)));
    this.#rounds = new Rounds({
      work: async () => this.#look(),
      everyMs: LOOK_EVERY_MS,
      onError: tellError(fittings.emit, "other lanes"),
    });
  }

  /** Looks at once, and again and again. */
  start(): void {
    this.#rounds.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#rounds.stop();
    await Promise.all([...this.#watched.values()].map(async ({ sweeper }) => sweeper.stop()));
  }

  async #look(): Promise<void> {
    const { fittings, scope } = this.#options;
    const { commandRedis, time, emit } = fittings;
    const now = time.clock();
    const lookedAt = time.monotonic();
    if (lookedAt - this.#notedAt >= NOTE_EVERY_MS) {
      this.#notedAt = lookedAt;
      // A full Redis refuses it; what there is to look after is there all the same.
      await noteLanes(commandRedis, scope.keySpace, scope.lanes, now).catch(tellError(emit, "other lanes"));
    }
    for (const name of await scope.open.knownLanes()) {
      if (this.#stopped) return;
      if (!this.#own.has(queueName(name.pool, name.lane))) await this.#lookAfter(name, now);
    }
    await this.#tellUnserved();
  }

  async #lookAfter(name: LaneName, now: number): Promise<void> {
    const { fittings, scope, outboxes } = this.#options;
    const queue = queueName(name.pool, name.lane);
    const watched = this.#watched.get(queue);
    if (await forgetLane(fittings.commandRedis, scope.keySpace, name, now)) {
      if (watched === undefined) return;
      this.#watched.delete(queue);
      outboxes.delete(watched.outbox);
      await watched.sweeper.stop();
    } else if (watched === undefined) {
      this.#watched.set(queue, this.#watch(name));
    }
  }

  #watch({ pool, lane }: LaneName): Watched {
    const { fittings, scope, outboxes } = this.#options;
    const { keySpace, outcomes, cancels, gate, ledger } = scope;
    const { commandRedis, queueRedis, emit } = fittings;
    const sweeper = new Sweeper({
      ...fittings.sweeperTimes,
      redis: queueRedis,
      keySpace,
      pool,
      lane,
      recovers: true,
      onExpired: (id) => emit("job:expired", { id }),
      onUnreadable: fittings.onUnreadable,
      onError: tellError(emit, "other lanes"),
    });
    const left = new LeftCalls({
      pools: [pool],
      gateOf: () => gate,
      ledger,
      onError: tellError(emit, "gate"),
    });
    // A letter is of a lane; the polls are none.
    const lettersOf = lane === POLLS_LANE ? "polls" : lane;
    const outbox = outboxOf({
      redis: commandRedis,
      keySpace,
      pool,
      lane,
      outcomes,
      cancels,
      left,
      lettersOf,
    });
    outboxes.add(outbox);
    sweeper.start();
    return { name: { pool, lane }, sweeper, outbox };
  }

  /** What jobs wait in although nobody serves it, once as it begins and once as it ends. */
  async #tellUnserved(): Promise<void> {
    const { scope, fittings } = this.#options;
    const served = await scope.open.served();
    for (const [queue, { name }] of this.#watched) {
      const jobs = await scope.open.unended(name);
      const unserved = jobs > 0 && describeUnserved(served, queue) !== undefined;
      if (unserved === this.#unserved.has(queue)) continue;
      if (unserved) this.#unserved.add(queue);
      else this.#unserved.delete(queue);
      fittings.emit("lane:unserved", { ...name, unserved, jobs });
    }
  }
}
