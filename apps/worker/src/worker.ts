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
  HungCalls,
  insist,
  LeftCalls,
  Mover,
  POLL_GRACE_MS,
  Poller,
  type Entry,
  type Model,
  type Outbox,
} from "@sluice/drain";
import { Standing } from "@sluice/process";
import { emitter, localTime, queueName, type Emit, type Listener, type Time } from "@sluice/job";
import { decodePayload } from "@sluice/job/payload";
import {
  FailedSet,
  Intake,
  LaneQueue,
  LockKeeper,
  POLLS_LANE,
  Slots,
  Sweeper,
  WaitingGrants,
  type LockTimes,
  type SlotShares,
  type SweeperTimes,
  type Take,
} from "@sluice/queue";
import { connect, RedisClock, timeSource } from "@sluice/redis";
import { createModel } from "./model.ts";
import { OtherLanes } from "./other-lanes.ts";
import { Recovery } from "./recovery.ts";
import { Replays } from "./replays.ts";
import { lanesOf, ScopeParts } from "./scope.ts";
import { untilStranded } from "./stranded.ts";
import { toldAcquire } from "./told-slots.ts";

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
  /** Hears why the process cannot go on with this Redis. Default: nobody. */
  readonly onUnfit?: (sentence: string) => void;
}

/** A pool as its own lanes and the chains of other pools use it. */
interface PoolParts {
  readonly pool: Pool;
  readonly scope: ScopeParts;
  readonly slots: Slots;
  readonly model: Model;
  readonly hung: HungCalls;
}

/** How the jobs of a lane are taken. */
interface LaneParts {
  readonly slots: Slots;
  readonly take: Take;
  /** Resolves when the next may be fetched. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
}

/** Time that aborted calls get to be handed back before the process leaves them to the stall check. */
const ABORT_GRACE_MS = 5_000;

/** How often each question of the start is asked of a Redis that is well, over about 3 s. */
const START_TRIES = 6;

/** How often calls are looked for that hang. */
const HANG_LOOK_MS = 1_000;

/** What ends with its connection has this long for it, milliseconds. */
const STRANDED_GRACE_MS = 500;

/** A job that cannot be read may have any id: so much of it is told, characters. */
const ID_TOLD = 64;

/** How long a job stays away that was fetched by a process whose clock is wrong, milliseconds. */
const APART_MS = 1_000;

/** Polls are short, and none waits for quota. */
const POLL_SLOTS = 8;

export class Worker {
  readonly #settings: WorkerSettings;
  readonly #emit: Emit;
  readonly #abort = new AbortController();
  readonly #queueRedis;
  readonly #commandRedis;
  readonly #redisClock: RedisClock;
  readonly #time: Time;
  readonly #standing: Standing;
  readonly #recovery: Recovery;
  readonly #locks: LockKeeper;
  readonly #waiting = new WaitingGrants();
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
  #looking: NodeJS.Timeout | undefined;
  #started = false;
  #leaving = false;

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
    this.#redisClock = new RedisClock({ source: timeSource(this.#commandRedis, settings.namespace) });
    this.#time = { ...localTime, clock: this.#redisClock.now };
    const { clock } = this.#time;
    this.#locks = new LockKeeper({
      times: settings.lockTimes,
      onLost: ({ id }) => this.#emit("job:lock-lost", { id }),
      onError: this.#onError("locks"),
    });
    this.#scopes = this.#openScopes();
    this.#pools = new Map(Object.values(pools.pools).map((pool) => [pool.name, this.#openPool(pool)]));
    this.#deadLetters = createDynamoDbStore({ tableName: deadLetterTable, now: clock });
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
          leftOf: (name) =>
            new LeftCalls({
              pools: [name],
              gateOf: () => scope.gate,
              ledger: scope.ledger,
              onError: this.#onError("gate"),
            }),
          outboxes,
          emit: this.#emit,
          onUnreadable: this.#onUnreadable,
          onError: this.#onError("other lanes"),
          times: this.#sweeperTimes(),
          random: Math.random,
        }),
    );
    this.#mover = new Mover({
      outboxes,
      deadLetters: this.#deadLetters,
      emit: this.#emit,
      clock,
      random: Math.random,
    });
    this.#replays = new Replays({
      pools: [...this.#pools.values()],
      letters: this.#deadLetters,
      redis: this.#commandRedis,
      everyMs: settings.reconcileIntervalMs,
      emit: this.#emit,
      clock,
      onError: this.#onError("replays"),
    });
    this.#standing = new Standing({
      redis: this.#commandRedis,
      clock: this.#redisClock,
      keySpaces: [...this.#scopes.values()].map(({ keySpace }) => keySpace),
      needs: [
        { name: `dead letter table '${deadLetterTable}'`, check: async () => this.#deadLetters.check() },
        ...[...this.#scopes.values()].map((scope) => scope.identityNeed),
      ],
      emit: this.#emit,
      onUnfit: settings.onUnfit,
      onNews: (news) => this.#recovery.afterNews(news),
    });
    this.#recovery = new Recovery({
      pools: [...this.#pools.values()],
      replays: this.#replays,
      signal: this.#abort.signal,
      emit: this.#emit,
      clock,
    });
  }

  /**
   * Waits for Redis, publishes the pools' limits, then starts to take jobs. Resolves to whether it did: `stop` ends the
   * start. Rejects when this Redis is unfit.
   */
  async start(): Promise<boolean> {
    for (const warning of this.#settings.pools.warnings) this.#emit("config:warning", warning);
    try {
      await this.#standing.untilFit();
      for (const { pool, scope } of this.#pools.values()) await this.#publish(pool, scope);
    } catch (error) {
      if (this.#abort.signal.aborted) return false;
      throw error;
    }
    if (this.#abort.signal.aborted) return false;
    this.#started = true;
    try {
      await this.#startParts();
    } catch (error) {
      if (this.#leaving) return false;
      throw error;
    }
    if (this.#leaving) return false;
    const slots = [...this.#pools.values()].reduce((sum, { pool }) => sum + pool.slots, 0);
    this.#emit("worker:started", { pools: [...this.#pools.keys()], slots });
    return true;
  }

  async #startParts(): Promise<void> {
    await Promise.all([...this.#scopes.values()].map(async (scope) => scope.start()));
    if (this.#leaving) return;
    this.#locks.start();
    this.#recovery.lookBack((space) => this.#standing.changes(space));
    this.#mover.start();
    this.#replays.start();
    for (const sweeper of this.#sweepers) sweeper.start();
    for (const lanes of this.#otherLanes) lanes.start();
    this.#looking = setInterval(() => this.#pools.forEach(({ hung }) => hung.check()), HANG_LOOK_MS);
    await Promise.all(this.#intakes.map(async (intake) => intake.start()));
  }

  /** A Redis that is busy may answer late, and one that is full may be drained; what a good one refuses ends the start. */
  async #publish(pool: Pool, scope: ScopeParts): Promise<void> {
    const asking = { part: "limits", signal: this.#abort.signal, emit: this.#emit, tries: START_TRIES };
    for (;;) {
      try {
        return await insist(async () => scope.configure(pool), asking);
      } catch (error) {
        const { ready } = await this.#standing.health();
        if (ready || this.#abort.signal.aborted) throw error;
      }
    }
  }

  /**
   * Takes no more jobs, hands back what has not started, lets calls in flight finish for `graceMs`, then aborts and
   * hands those back too. Never rejects, and returns within the grace and a few seconds, also when Redis is gone; within
   * two when it is and nothing is in hand.
   */
  async stop(graceMs: number): Promise<void> {
    this.#leaving = true;
    clearInterval(this.#looking);
    this.#standing.stop();
    if (!this.#started) {
      this.#abort.abort();
      this.#closeConnections();
      return;
    }
    const stopped = new AbortController();
    const stranded = this.#stranded(stopped.signal);
    const finished = (async () => {
      await Promise.all(this.#intakes.map(async (intake) => intake.stop()));
      await Promise.all(this.#intakes.map(async (intake) => intake.settled()));
      return "finished" as const;
    })();
    let end: "finished" | "stranded" | undefined = await within(graceMs, Promise.race([finished, stranded]));
    if (end === undefined) {
      this.#abort.abort();
      end = await within(ABORT_GRACE_MS, Promise.race([finished, stranded]));
    }
    const drained = end === "finished" && !this.#abort.signal.aborted;
    const closed = this.#close();
    if (end !== "stranded") await within(ABORT_GRACE_MS, Promise.race([closed, stranded]));
    this.#abort.abort();
    this.#closeConnections();
    // What waits for an answer ends with its connection.
    await within(STRANDED_GRACE_MS, Promise.allSettled([finished, closed]));
    stopped.abort();
    this.#emit("worker:stopped", { drained });
  }

  async #stranded(signal: AbortSignal): Promise<"stranded"> {
    const sum = (count: (intake: Intake) => number): number =>
      this.#intakes.reduce((all, intake) => all + count(intake), 0);
    const running = (): number => sum((intake) => intake.running);
    const inHand = (): number => sum((intake) => intake.inHand);
    await untilStranded({ running, inHand, ask: async () => this.#commandRedis.ping() }, signal);
    return "stranded";
  }

  #closeConnections(): void {
    this.#queueRedis.disconnect();
    this.#commandRedis.disconnect();
    this.#deadLetters.close();
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
          time: this.#time,
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
    const slots = new Slots(pool.lanes, pool.slots, sharesOf({ pool, scope }));
    const hung = new HungCalls({ slots, kept: pool.lanes.length - 1, clock: this.#time.monotonic });
    const model = hung.watch(createModel(pool, scope.bedrockFor(pool.name), scope.onUsage));
    return { pool, scope, slots, model, hung };
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
      clock: this.#time.clock,
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
      startPolling: async (data) => polls.add(data, FIRST_POLL_MS, POLL_GRACE_MS),
      filteredMessage: pool.filteredMessage ?? undefined,
      abort,
      emit,
      ...this.#time,
      random: Math.random,
    });
    this.#drains.push(drain);
    const bedrock = scope.bedrockFor(pool.name);
    const poller = new Poller({
      poll: async (invocationArn, signal) =>
        bedrock.pollAsync({ invocationArn, signal, timeoutMs: pool.callTimeoutMs }),
      outcomes: scope.outcomes,
      cancels: scope.cancels,
      filteredMessage: pool.filteredMessage ?? undefined,
      abort,
      emit,
      clock: this.#time.clock,
      random: Math.random,
    });
    const lanes = pool.lanes.map((lane) =>
      this.#wireLane(parts, lane, {
        slots,
        take: async (job, signal) => drain.take(job, signal),
        ready: async (signal) => drain.ready(signal),
      }),
    );
    const pollLane = this.#wireLane(parts, POLLS_LANE, {
      slots: new Slots([POLLS_LANE], POLL_SLOTS),
      take: async (job, signal) => poller.take(job, signal),
      ready: async () => {},
    });
    return [...lanes, pollLane];
  }

  #wireLane(parts: PoolParts, lane: string, { slots, take, ready }: LaneParts): Outbox {
    const { pool, scope } = parts;
    const { keySpace, outcomes, cancels } = scope;
    // What Bedrock works on already is asked about where it was started.
    const asked = lane === POLLS_LANE ? [parts] : this.#partsOfChain(parts);
    const guarded = asked.map((each) => ({ guard: each.scope.guard, pool: each.pool.name }));
    const names = { keySpace, pool: pool.name, lane };
    const acquire = toldAcquire(async (laneName, signal) => slots.acquire(laneName, signal), {
      pool: pool.name,
      slots: pool.slots,
      emit: this.#emit,
    });
    this.#intakes.push(
      new Intake({
        ...names,
        ...this.#time,
        redis: this.#queueRedis,
        slots: {
          acquire: async (laneName, signal) => {
            // By clocks that are apart a job would end before its time, or start before it.
            await this.#redisClock.together(signal);
            // A job would only be handed back, unless a fallback may answer it for which this process is let in.
            await anyReady(guarded, signal);
            await ready(signal);
            return acquire(laneName, signal);
          },
          acquireCall: async (laneName, signal) => slots.acquireCall(laneName, signal),
        },
        locks: this.#locks,
        waiting: this.#waiting,
        take: async (job, signal) => {
          if (!this.#redisClock.isApart) return take(job, signal);
          // Its fetch was on its way when the clocks were found to be apart.
          await job.defer({ delayMs: APART_MS, attempt: false });
          return undefined;
        },
        onError: this.#onError(`intake ${pool.name}.${lane}`),
        onUnreadable: this.#onUnreadable,
        stalledIntervalMs: this.#settings.stalledIntervalMs,
      }),
    );
    this.#sweepers.push(
      new Sweeper({
        ...names,
        redis: this.#queueRedis,
        ...this.#sweeperTimes(),
        // A poll that is due later is no retry.
        ...(lane === POLLS_LANE ? {} : { isIdle: async () => scope.isIdle(pool.name) }),
        onExpired: (id) => this.#emit("job:expired", { id }),
        onUnreadable: this.#onUnreadable,
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
      left: this.#leftOf(parts),
      size: async () => failed.size(),
      oldest: async (limit, skip) => failed.oldest(limit, skip),
      drop: async (job) => failed.drop(job),
    };
  }

  readonly #onUnreadable = (id: string): void => {
    const error = `What Redis holds of job ${id.slice(0, ID_TOLD)} cannot be read`;
    this.#emit("worker:error", { part: "intake", error });
    this.#mover.nudge();
  };

  /** What calls of dead jobs hold, in the pool and in its fallbacks. */
  #leftOf(parts: PoolParts): LeftCalls {
    const chain = this.#partsOfChain(parts);
    return new LeftCalls({
      pools: chain.map(({ pool }) => pool.name),
      gateOf: (name) => this.#pools.get(name)?.scope.gate,
      ledger: parts.scope.ledger,
      answeredCost: (name, { usage }) => this.#pools.get(name)?.model.settled(usage) ?? {},
      onError: this.#onError("gate"),
    });
  }

  #sweeperTimes(): SweeperTimes {
    const { inHandMs, callMs } = this.#locks.times;
    return {
      clock: this.#time.clock,
      isTimeKnown: () => !this.#redisClock.isApart,
      lives: {
        lockMs: Math.max(inHandMs, callMs),
        stalledIntervalMs: this.#settings.stalledIntervalMs,
      },
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
    acquire: async (lane, signal) => slots.acquireCall(lane, signal),
  };
}

/** What the lanes get of the quota, whatever the others ask for, they get of the slots too. */
function sharesOf({ pool, scope }: Pick<PoolParts, "pool" | "scope">): SlotShares {
  return Object.fromEntries(scope.limitsOf(pool).lanes.map(({ name, share }) => [name, share]));
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(ms, undefined, { ref: false })]);
}
