/**
 * One drain process: for every scope the connection to Bedrock and the limiter, for every pool its slots, for every
 * lane an intake and a sweeper, and one mover. Wiring only; what happens to a job is decided in the packages.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, Pools } from "@sluice/config";
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import {
  anyReady,
  describe,
  Drain,
  insist,
  Mover,
  Poller,
  type Entry,
  type Model,
  type Outbox,
} from "@sluice/drain";
import { emitter, queueName, type Emit, type Listener } from "@sluice/job";
import {
  decodePayload,
  FailedSet,
  Intake,
  LaneQueue,
  LockKeeper,
  POLLS_LANE,
  Slots,
  Sweeper,
  type LockTimes,
  type SlotShares,
  type Take,
} from "@sluice/queue";
import { assertFit, connect } from "@sluice/redis";
import { createModel } from "./model.ts";
import { OtherLanes } from "./other-lanes.ts";
import { Replays } from "./replays.ts";
import { lanesOf, ScopeParts } from "./scope.ts";

export interface WorkerSettings {
  readonly pools: Pools;
  /** Separates installations that share one Redis. */
  readonly namespace: string;
  readonly redisUrl: string;
  readonly deadLetterTable: string;
  readonly listeners: readonly Listener[];
  readonly lockTimes: LockTimes;
  /** How often jobs of vanished workers are looked for, milliseconds. */
  readonly stalledIntervalMs: number;
  /** How long after its last beat a worker counts as alive, milliseconds. The same in the whole fleet. */
  readonly heartbeatTtlMs: number;
  /** How often replays are looked at that a crash may have left half done, milliseconds. */
  readonly reconcileIntervalMs: number;
}

/** A pool as its own lanes and the chains of other pools use it. */
interface PoolParts {
  readonly pool: Pool;
  readonly scope: ScopeParts;
  readonly slots: Slots;
  readonly model: Model;
}

/** Time that aborted calls get to be handed back before the process leaves them to the stall check. */
const ABORT_GRACE_MS = 5_000;

/** How often each question of the start is asked, over about 3 s. */
const START_TRIES = 6;

/** A job that cannot be read may have any id: so much of it is told, characters. */
const ID_TOLD = 64;

/** Polls are short, and none waits for quota. */
const POLL_SLOTS = 8;

export class Worker {
  readonly #settings: WorkerSettings;
  readonly #emit: Emit;
  readonly #abort = new AbortController();
  readonly #queueRedis;
  readonly #commandRedis;
  readonly #locks: LockKeeper;
  readonly #deadLetters: DynamoDbStore;
  readonly #mover: Mover;
  readonly #replays: Replays;
  readonly #scopes: ReadonlyMap<string, ScopeParts>;
  readonly #pools: ReadonlyMap<string, PoolParts>;
  readonly #drains: Drain[] = [];
  readonly #intakes: Intake[] = [];
  readonly #sweepers: Sweeper[] = [];
  readonly #pollQueues: LaneQueue[] = [];
  readonly #otherLanes: readonly OtherLanes[];

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    const { redisUrl, deadLetterTable, pools } = settings;
    this.#emit = emitter([
      ...settings.listeners,
      (name) => this.#nudgeMover(name),
      (name, event) => this.#replays.listener(name, event),
    ]);
    this.#queueRedis = connect(redisUrl, "worker", this.#onError("redis"));
    this.#commandRedis = connect(redisUrl, "command", this.#onError("redis"));
    this.#locks = new LockKeeper({
      times: settings.lockTimes,
      onLost: ({ id }) => this.#emit("job:lock-lost", { id }),
      onError: this.#onError("locks"),
    });
    this.#scopes = this.#openScopes();
    this.#pools = new Map(Object.values(pools.pools).map((pool) => [pool.name, this.#openPool(pool)]));
    this.#deadLetters = createDynamoDbStore({ tableName: deadLetterTable });
    const outboxes = new Set([...this.#pools.values()].flatMap((parts) => this.#wirePool(parts)));
    this.#otherLanes = [...this.#scopes.values()].map(
      (scope) =>
        new OtherLanes({
          keySpace: scope.keySpace,
          own: lanesOf(
            [...this.#pools.values()].filter((each) => each.scope === scope).map(({ pool }) => pool),
          ),
          redis: this.#commandRedis,
          queueRedis: this.#queueRedis,
          outcomes: scope.outcomes,
          cancels: scope.cancels,
          outboxes,
          emit: this.#emit,
          onError: this.#onError("other lanes"),
        }),
    );
    this.#mover = new Mover({
      outboxes,
      deadLetters: this.#deadLetters,
      emit: this.#emit,
      clock: Date.now,
      random: Math.random,
    });
    this.#replays = new Replays({
      pools: [...this.#pools.values()],
      letters: this.#deadLetters,
      redis: this.#commandRedis,
      everyMs: settings.reconcileIntervalMs,
      emit: this.#emit,
      onError: this.#onError("replays"),
    });
  }

  /** Waits for Redis, publishes the pools' limits, then starts to take jobs. Rejects when this Redis is unfit. */
  async start(): Promise<void> {
    for (const warning of this.#settings.pools.warnings) this.#emit("config:warning", warning);
    const asking = { part: "redis", signal: this.#abort.signal, emit: this.#emit };
    await insist(async () => this.#commandRedis.ping(), asking);
    // A Redis that is busy may answer late; what it refuses every time ends the start.
    const few = { ...asking, tries: START_TRIES };
    await insist(async () => assertFit(this.#commandRedis), few);
    for (const { pool, scope } of this.#pools.values()) {
      await insist(async () => scope.configure(pool), few);
    }
    await Promise.all([...this.#scopes.values()].map(async (scope) => scope.start()));
    this.#locks.start();
    this.#mover.start();
    this.#replays.start();
    for (const sweeper of this.#sweepers) sweeper.start();
    for (const lanes of this.#otherLanes) lanes.start();
    await Promise.all(this.#intakes.map(async (intake) => intake.start()));
    const slots = [...this.#pools.values()].reduce((sum, { pool }) => sum + pool.slots, 0);
    this.#emit("worker:started", { pools: [...this.#pools.keys()], slots });
  }

  /**
   * Takes no more jobs, hands back what has not started, lets calls in flight finish for `graceMs`, then aborts and
   * hands those back too. Never rejects, and returns within the grace and a few seconds, also when Redis is gone.
   */
  async stop(graceMs: number): Promise<void> {
    const finished = (async () => {
      await Promise.all(this.#intakes.map(async (intake) => intake.stop()));
      await Promise.all(this.#intakes.map(async (intake) => intake.settled()));
      return true;
    })();
    const inTime = await within(graceMs, finished);
    if (inTime === undefined) {
      this.#abort.abort();
      await within(ABORT_GRACE_MS, finished);
    }
    await within(ABORT_GRACE_MS, this.#close());
    this.#queueRedis.disconnect();
    this.#commandRedis.disconnect();
    this.#emit("worker:stopped", { drained: inTime === true });
  }

  async #close(): Promise<void> {
    await Promise.all([
      this.#mover.stop(),
      this.#replays.stop(),
      ...this.#otherLanes.map(async (lanes) => lanes.stop()),
      ...this.#sweepers.map(async (sweeper) => sweeper.stop()),
    ]);
    this.#locks.stop();
    await Promise.all([...this.#scopes.values()].map(async (scope) => scope.stop()));
    await Promise.all([
      ...this.#intakes.map(async (intake) => intake.close()),
      ...this.#pollQueues.map(async (queue) => queue.close()),
    ]);
    this.#deadLetters.close();
  }

  #openScopes(): Map<string, ScopeParts> {
    const { pools, namespace, heartbeatTtlMs } = this.#settings;
    return new Map(
      Object.values(pools.scopes).map((scope) => [
        scope.name,
        new ScopeParts({
          scope,
          pools: Object.values(pools.pools).filter((pool) => pool.scope === scope.name),
          namespace,
          heartbeatTtlMs,
          redis: this.#commandRedis,
          onCancel: (id) => this.#drains.forEach((drain) => drain.cancel(id)),
          onShut: (name) => this.#drains.forEach((drain) => drain.shut(name)),
          emit: this.#emit,
          inHand: () => this.#drains.flatMap((drain) => [...drain.inHand]),
          onError: (part) => this.#onError(part),
        }),
      ]),
    );
  }

  #openPool(pool: Pool): PoolParts {
    const scope = this.#scopes.get(pool.scope);
    if (scope === undefined) throw new Error(`Pool '${pool.name}' names no known scope`);
    return {
      pool,
      scope,
      slots: new Slots(pool.lanes, pool.slots, sharesOf({ pool, scope })),
      model: createModel(pool, scope.bedrock, scope.onUsage),
    };
  }

  /** Wires a pool's lanes and its polls; returns their outboxes. */
  #wirePool(parts: PoolParts): Outbox[] {
    const { pool, scope, slots } = parts;
    const { keySpace } = scope;
    const { abort, emit } = { abort: this.#abort.signal, emit: this.#emit };
    const polls = new LaneQueue({
      redis: this.#commandRedis,
      keySpace,
      pool: pool.name,
      lane: POLLS_LANE,
      onError: this.#onError("polls"),
    });
    this.#pollQueues.push(polls);
    const drain = new Drain({
      chain: this.#chainOf(parts),
      outcomes: scope.outcomes,
      ledger: scope.ledger,
      cancels: scope.cancels,
      cache: scope.cache,
      chunks: scope.chunks,
      decodePayload,
      startPolling: async (data) => polls.add(data, FIRST_POLL_MS),
      filteredMessage: pool.filteredMessage ?? undefined,
      abort,
      emit,
      clock: Date.now,
      random: Math.random,
    });
    this.#drains.push(drain);
    const poller = new Poller({
      poll: async (invocationArn, signal) =>
        scope.bedrock.pollAsync({ invocationArn, signal, timeoutMs: pool.callTimeoutMs }),
      outcomes: scope.outcomes,
      cancels: scope.cancels,
      abort,
      emit,
      clock: Date.now,
      random: Math.random,
    });
    const lanes = pool.lanes.map((lane) =>
      this.#wireLane(parts, lane, slots, async (job, signal) => drain.take(job, signal)),
    );
    const pollLane = this.#wireLane(
      parts,
      POLLS_LANE,
      new Slots([POLLS_LANE], POLL_SLOTS),
      async (job, signal) => poller.take(job, signal),
    );
    return [...lanes, pollLane];
  }

  #wireLane(parts: PoolParts, lane: string, slots: Slots, take: Take): Outbox {
    const { pool, scope } = parts;
    const { keySpace, outcomes, cancels } = scope;
    // What Bedrock works on already is asked about where it was started.
    const asked = lane === POLLS_LANE ? [parts] : this.#partsOfChain(parts);
    const identities = [...new Set(asked.map((each) => each.scope.identity))];
    const names = { keySpace, pool: pool.name, lane };
    this.#intakes.push(
      new Intake({
        ...names,
        redis: this.#queueRedis,
        slots: {
          acquire: async (laneName, signal) => {
            // Without credentials a job would only be handed back, unless a fallback of another scope may answer it.
            await anyReady(identities, signal);
            return slots.acquire(laneName, signal);
          },
          acquireCall: async (laneName, signal) => slots.acquireCall(laneName, signal),
        },
        locks: this.#locks,
        take,
        onError: this.#onError(`intake ${pool.name}.${lane}`),
        onUnreadable: (id) => {
          const error = `What Redis holds of job ${id.slice(0, ID_TOLD)} cannot be read`;
          this.#emit("worker:error", { part: "intake", error });
          this.#mover.nudge();
        },
        stalledIntervalMs: this.#settings.stalledIntervalMs,
      }),
    );
    this.#sweepers.push(
      new Sweeper({
        ...names,
        redis: this.#queueRedis,
        // A poll that is due later is no retry.
        ...(lane === POLLS_LANE ? {} : { isIdle: async () => scope.isIdle(pool.name) }),
        onExpired: (id) => this.#emit("job:expired", { id }),
        onError: this.#onError(`sweeper ${pool.name}.${lane}`),
      }),
    );
    const failed = new FailedSet(this.#commandRedis, keySpace, pool.name, lane);
    return {
      pool: pool.name,
      // A letter is of a lane; the polls are none.
      lane: pool.lanes.includes(lane) ? lane : (pool.lanes.at(-1) ?? lane),
      queue: queueName(pool.name, lane),
      outcomes,
      cancels,
      size: async () => failed.size(),
      oldest: async (limit, skip) => failed.oldest(limit, skip),
      drop: async (job) => failed.drop(job),
    };
  }

  /** The pool itself, then its fallbacks: each with its own lane, model, slots, credentials and breaker. */
  #chainOf(own: PoolParts): [Entry, ...Entry[]] {
    const [first, ...fallbacks] = this.#partsOfChain(own);
    return [entryOf(first, own.pool), ...fallbacks.map((parts) => entryOf(parts, own.pool))];
  }

  #partsOfChain(own: PoolParts): [PoolParts, ...PoolParts[]] {
    const fallbacks = own.pool.fallback.flatMap((name) => {
      const parts = this.#pools.get(name);
      return parts === undefined ? [] : [parts];
    });
    return [own, ...fallbacks];
  }

  #nudgeMover(event: string): void {
    if (event === "job:dead" || event === "job:expired") this.#mover.nudge();
  }

  #onError(part: string): (error: unknown) => void {
    return (error) => this.#emit("worker:error", { part, error: describe(error) });
  }
}

/** Bedrock takes at least this long over an async call. */
const FIRST_POLL_MS = 1_000;

/** A pool in the chain of another (or its own). A lane it does not have is the one of the same rank, or its last. */
function entryOf({ pool, scope, slots, model }: PoolParts, from: Pool): Entry {
  return {
    pool: pool.name,
    laneFor: (lane) => {
      if (pool.lanes.includes(lane)) return lane;
      return pool.lanes[Math.min(from.lanes.indexOf(lane), pool.lanes.length - 1)] ?? lane;
    },
    gate: scope.gate,
    model,
    tryAcquire: (lane) => slots.tryAcquireCall(lane),
  };
}

/** What the lanes get of the quota, whatever the others ask for, they get of the slots too. */
function sharesOf({ pool, scope }: Pick<PoolParts, "pool" | "scope">): SlotShares {
  return Object.fromEntries(scope.limitsOf(pool).lanes.map(({ name, share }) => [name, share]));
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(ms, undefined, { ref: false })]);
}
