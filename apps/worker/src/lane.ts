/** One lane of a pool as this worker serves it: what fetches its jobs, and what looks after those that wait. */
import { anyReady, type Outbox } from "@sluice/drain";
import { Intake, POLLS_LANE, Sweeper, type Slots, type Take } from "@sluice/queue";
import { tellError, type Fittings } from "./fittings.ts";
import { outboxOf } from "./outbox.ts";
import type { PoolCalls } from "./pool-calls.ts";
import { toldAcquire } from "./told-slots.ts";

export interface WorkerLaneOptions {
  readonly fittings: Fittings;
  /** The pool that the lane is of. */
  readonly calls: PoolCalls;
  readonly lane: string;
  /** The pools that may answer its jobs. */
  readonly chain: readonly PoolCalls[];
  readonly slots: Slots;
  readonly take: Take;
  /** Resolves when the next job may be fetched. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  /** What calls of its jobs hold whose worker vanished. */
  readonly left: Outbox["left"];
}

/** How long a job stays away that was fetched by a process whose clock is wrong, milliseconds. */
const APART_MS = 1_000;

export class WorkerLane {
  /** What the mover empties. */
  readonly outbox: Outbox;
  readonly #intake: Intake;
  readonly #sweeper: Sweeper;

  constructor(options: WorkerLaneOptions) {
    this.#intake = openIntake(options);
    this.#sweeper = openSweeper(options);
    const { fittings, calls, lane, left } = options;
    const { pool, scope } = calls;
    this.outbox = outboxOf({
      redis: fittings.commandRedis,
      keySpace: scope.keySpace,
      pool: pool.name,
      lane,
      outcomes: scope.outcomes,
      cancels: scope.cancels,
      left,
      lettersOf: pool.lanes.includes(lane) ? lane : (pool.lanes.at(-1) ?? lane),
    });
  }

  /** Calls in flight. */
  get running(): number {
    return this.#intake.running;
  }

  /** Jobs that Redis would have to take back, those of the calls included. */
  get inHand(): number {
    return this.#intake.inHand;
  }

  async start(): Promise<void> {
    this.#sweeper.start();
    await this.#intake.start();
  }

  /** Fetches no more. Resolves when what is in hand has ended, or was handed back. */
  async leave(): Promise<void> {
    await this.#intake.stop();
    await this.#intake.settled();
  }

  /** After `leave`: ends what is left of it. */
  async stop(): Promise<void> {
    await this.#sweeper.stop();
    await this.#intake.close();
  }
}

function openIntake({ fittings, calls, lane, chain, slots, take, ready }: WorkerLaneOptions): Intake {
  const { redisClock, emit } = fittings;
  const { pool, scope } = calls;
  const acquire = toldAcquire(async (name, signal) => slots.acquire(name, signal), {
    pool: pool.name,
    slots: pool.slots,
    emit,
  });
  const guarded = chain.map((each) => ({ guard: each.scope.guard, pool: each.pool.name }));
  return new Intake({
    ...fittings.time,
    redis: fittings.queueRedis,
    keySpace: scope.keySpace,
    pool: pool.name,
    lane,
    slots: {
      acquire: async (name, signal) => {
        // By clocks that are apart a job would end before its time, or start before it.
        await redisClock.together(signal);
        // A job would only be handed back, unless a fallback may answer it for which this process is let in.
        await anyReady(guarded, signal);
        await ready(signal);
        return acquire(name, signal);
      },
      acquireCall: async (name, signal) => slots.acquireCall(name, signal),
    },
    locks: fittings.locks,
    waiting: fittings.waiting,
    take: async (job, signal) => {
      if (!redisClock.isApart) return take(job, signal);
      // Its fetch was on its way when the clocks were found to be apart.
      await job.defer({ delayMs: APART_MS, attempt: false });
      return undefined;
    },
    onError: tellError(emit, `intake ${pool.name}.${lane}`),
    onUnreadable: fittings.onUnreadable,
    stalledIntervalMs: fittings.stalledIntervalMs,
  });
}

function openSweeper({ fittings, calls: { pool, scope }, lane }: WorkerLaneOptions): Sweeper {
  const { emit } = fittings;
  return new Sweeper({
    ...fittings.sweeperTimes,
    redis: fittings.queueRedis,
    keySpace: scope.keySpace,
    pool: pool.name,
    lane,
    // A poll that is due later is no retry.
    ...(lane === POLLS_LANE ? {} : { isIdle: async () => scope.isIdle(pool.name) }),
    onExpired: (id) => emit("job:expired", { id }),
    onUnreadable: fittings.onUnreadable,
    onError: tellError(emit, `sweeper ${pool.name}.${lane}`),
  });
}
