/**
 * One drain process: what its installation has, a scope for each account and Region, a pool for each model, and beside them
 * the mover, the reconciler and who looks after lanes that are in no file of it. What happens to a job is decided elsewhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pools } from "@sluice/config";
import type { DynamoDbStore } from "@sluice/dead-letter";
import { insist, Mover } from "@sluice/drain";
import { Installation } from "@sluice/installation";
import { openLetters } from "@sluice/installation/letters";
import { emitter, localTime, type Emit, type Listener } from "@sluice/job";
import { Standing } from "@sluice/process";
import { LockKeeper, WaitingGrants, type LockTimes } from "@sluice/queue";
import { connect } from "@sluice/redis";
import type { Redis } from "ioredis";
import { tellError, type Fittings } from "./fittings.ts";
import { OtherLanes } from "./other-lanes.ts";
import { openPoolCalls, type PoolCalls } from "./pool-calls.ts";
import { WorkerPool } from "./pool.ts";
import { Recovery } from "./recovery.ts";
import { Replays } from "./replays.ts";
import { WorkerScope } from "./scope.ts";
import { untilStranded } from "./stranded.ts";

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

/** Time that aborted calls get to be handed back before the process leaves them to the stall check, milliseconds. */
const ABORT_GRACE_MS = 5_000;

/** How often each question of the start is asked of a Redis that is well, over about 3 s. */
const START_TRIES = 6;

/** What ends with its connection has this long for it, milliseconds. */
const STRANDED_GRACE_MS = 500;

/** A job that cannot be read may have any id: so much of it is told, characters. */
const ID_TOLD = 64;

export class Worker {
  readonly #settings: WorkerSettings;
  readonly #emit: Emit;
  readonly #abort = new AbortController();
  readonly #installation: Installation;
  readonly #queueRedis: Redis;
  readonly #letters: DynamoDbStore;
  readonly #locks: LockKeeper;
  readonly #scopes: ReadonlyMap<string, WorkerScope>;
  readonly #pools: readonly WorkerPool[];
  readonly #otherLanes: readonly OtherLanes[];
  readonly #mover: Mover;
  readonly #replays: Replays;
  readonly #recovery: Recovery;
  readonly #standing: Standing;
  #started = false;
  #leaving = false;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    const emit = emitter([
      ...settings.listeners,
      (name) => this.#nudgeMover(name),
      (name, event) => this.#replays.listener(name, event),
    ]);
    this.#emit = emit;
    const onError = tellError(emit, "redis");
    const installation = new Installation({ ...settings, profile: "command", onError });
    this.#installation = installation;
    this.#queueRedis = connect(settings.redisUrl, "worker", onError);
    this.#letters = openLetters({ table: settings.deadLetterTable, clock: installation.clock });
    this.#locks = new LockKeeper({
      times: settings.lockTimes,
      onLost: ({ id }) => emit("job:lock-lost", { id }),
      onError: tellError(emit, "locks"),
    });
    const fittings = this.#fittings();
    this.#scopes = this.#openScopes(fittings);
    const calls = this.#openPoolCalls(fittings);
    this.#pools = [...calls.values()].map((own) => new WorkerPool({ fittings, calls: own, all: calls }));
    const outboxes = new Set(this.#pools.flatMap((pool) => pool.outboxes));
    this.#otherLanes = [...this.#scopes.values()].map(
      (scope) => new OtherLanes({ fittings, scope, outboxes }),
    );
    const { clock } = installation;
    this.#mover = new Mover({ outboxes, deadLetters: this.#letters, emit, clock, random: Math.random });
    this.#replays = new Replays({
      pools: [...installation.pools.values()],
      letters: this.#letters,
      everyMs: settings.reconcileIntervalMs,
      emit,
      clock,
      onError: tellError(emit, "replays"),
    });
    this.#recovery = new Recovery({
      pools: [...calls.values()],
      replays: this.#replays,
      signal: this.#abort.signal,
      emit,
      clock,
    });
    this.#standing = new Standing({
      redis: installation.redis,
      clock: installation.redisClock,
      keySpaces: installation.keySpaces,
      needs: [
        { name: `dead letter table '${settings.deadLetterTable}'`, check: async () => this.#letters.check() },
        ...[...this.#scopes.values()].map((scope) => scope.identityNeed),
      ],
      emit,
      onUnfit: settings.onUnfit,
      onNews: (news) => this.#recovery.afterNews(news),
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
      for (const { calls } of this.#pools) await this.#publish(calls);
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
    const slots = this.#pools.reduce((sum, { calls }) => sum + calls.pool.slots, 0);
    this.#emit("worker:started", { pools: this.#pools.map(({ calls }) => calls.pool.name), slots });
    return true;
  }

  async #startParts(): Promise<void> {
    await Promise.all([...this.#scopes.values()].map(async (scope) => scope.start()));
    if (this.#leaving) return;
    this.#locks.start();
    this.#recovery.lookBack((space) => this.#standing.changes(space));
    this.#mover.start();
    this.#replays.start();
    for (const lanes of this.#otherLanes) lanes.start();
    await Promise.all(this.#pools.map(async (pool) => pool.start()));
  }

  /** A Redis that is busy may answer late, and one that is full may be drained; what a good one refuses ends the start. */
  async #publish({ pool, scope }: PoolCalls): Promise<void> {
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
    this.#standing.stop();
    if (!this.#started) {
      this.#abort.abort();
      this.#closeConnections();
      return;
    }
    const stopped = new AbortController();
    const stranded = this.#stranded(stopped.signal);
    const finished = Promise.all(this.#pools.map(async (pool) => pool.leave())).then(
      () => "finished" as const,
    );
    let end: "finished" | "stranded" | undefined = await within(graceMs, Promise.race([finished, stranded]));
    if (end === undefined) {
      this.#abort.abort();
      end = await within(ABORT_GRACE_MS, Promise.race([finished, stranded]));
    }
    const drained = end === "finished" && !this.#abort.signal.aborted;
    const closed = this.#stopParts();
    if (end !== "stranded") await within(ABORT_GRACE_MS, Promise.race([closed, stranded]));
    this.#abort.abort();
    this.#closeConnections();
    // What waits for an answer ends with its connection.
    await within(STRANDED_GRACE_MS, Promise.allSettled([finished, closed]));
    stopped.abort();
    this.#emit("worker:stopped", { drained });
  }

  async #stopParts(): Promise<void> {
    await Promise.all([
      this.#mover.stop(),
      this.#replays.stop(),
      ...this.#otherLanes.map(async (lanes) => lanes.stop()),
      ...this.#pools.map(async (pool) => pool.stop()),
    ]);
    this.#locks.stop();
    await Promise.all([...this.#scopes.values()].map(async (scope) => scope.stop()));
    await this.#installation.closeLanes();
  }

  #closeConnections(): void {
    this.#queueRedis.disconnect();
    this.#installation.disconnect();
    this.#letters.close();
  }

  async #stranded(signal: AbortSignal): Promise<"stranded"> {
    const running = (): number => this.#pools.reduce((sum, pool) => sum + pool.running, 0);
    const inHand = (): number => this.#pools.reduce((sum, pool) => sum + pool.inHand, 0);
    const { redis } = this.#installation;
    await untilStranded({ running, inHand, ask: async () => redis.ping() }, signal);
    return "stranded";
  }

  #fittings(): Fittings {
    const { redis, redisClock, clock } = this.#installation;
    const { stalledIntervalMs } = this.#settings;
    const { inHandMs, callMs } = this.#locks.times;
    return {
      commandRedis: redis,
      queueRedis: this.#queueRedis,
      redisClock,
      time: { ...localTime, clock },
      locks: this.#locks,
      waiting: new WaitingGrants(),
      sweeperTimes: {
        clock,
        isTimeKnown: () => !redisClock.isApart,
        lives: { lockMs: Math.max(inHandMs, callMs), stalledIntervalMs },
      },
      stalledIntervalMs,
      abort: this.#abort.signal,
      emit: this.#emit,
      onUnreadable: (id) => {
        const error = `What Redis holds of job ${id.slice(0, ID_TOLD)} cannot be read`;
        this.#emit("worker:error", { part: "intake", error });
        this.#mover.nudge();
      },
    };
  }

  #openScopes(fittings: Fittings): Map<string, WorkerScope> {
    const { pools, heartbeatTtlMs } = this.#settings;
    return new Map(
      Object.values(pools.scopes).map((scope) => [
        scope.name,
        new WorkerScope({
          fittings,
          scope,
          open: this.#installation.scope(scope.name),
          pools: Object.values(pools.pools).filter((pool) => pool.scope === scope.name),
          heartbeatTtlMs,
          onCancel: (id) => this.#pools.forEach(({ drain }) => drain.cancel(id)),
          onShut: (name) => this.#pools.forEach(({ drain }) => drain.shut(name)),
          inHand: () => this.#pools.flatMap(({ drain }) => [...drain.inHand]),
        }),
      ]),
    );
  }

  #openPoolCalls({ time }: Fittings): Map<string, PoolCalls> {
    return new Map(
      [...this.#installation.pools].map(([name, open]) => {
        const scope = this.#scopes.get(open.pool.scope);
        if (scope === undefined) throw new Error(`Pool '${name}' names no known scope`);
        return [name, openPoolCalls(open, scope, time.monotonic)];
      }),
    );
  }

  #nudgeMover(event: string): void {
    if (event === "job:dead" || event === "job:expired") this.#mover.nudge();
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(ms, undefined, { ref: false })]);
}
