/**
 * One drain process: for every pool a limiter, a model and a set of slots, for every lane an intake and a sweeper,
 * and one mover. Wiring only; what happens to a job is decided in the packages.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createBedrock, type BedrockCaller } from "@sluice/bedrock";
import { reservation, settled } from "@sluice/bedrock/estimate";
import type { Pool, Pools } from "@sluice/config";
import { createDynamoDbStore } from "@sluice/dead-letter";
import { describe, Drain, insist, Mover, type Model, type Outbox } from "@sluice/drain";
import { emitter, type Emit, type Listener } from "@sluice/job";
import { createRedisLimiter, type Limiter } from "@sluice/limits";
import { decodePayload, FailedSet, Intake, LockKeeper, Slots, Sweeper, type LockTimes } from "@sluice/queue";
import { assertFit, connect, keySpace } from "@sluice/redis";
import { OutcomeStore } from "@sluice/results";
import { poolLimits } from "./pool-limits.ts";

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
}

/** Time that aborted calls get to be handed back before the process leaves them to the stall check. */
const ABORT_GRACE_MS = 5_000;

export class Worker {
  readonly #settings: WorkerSettings;
  readonly #emit: Emit;
  readonly #abort = new AbortController();
  readonly #queueRedis;
  readonly #commandRedis;
  readonly #locks: LockKeeper;
  readonly #mover: Mover;
  readonly #limiters = new Map<string, Limiter>();
  readonly #bedrocks: BedrockCaller[] = [];
  readonly #intakes: Intake[] = [];
  readonly #sweepers: Sweeper[] = [];

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    const { redisUrl, deadLetterTable, pools } = settings;
    this.#emit = emitter([...settings.listeners, (name) => this.#nudgeMover(name)]);
    this.#queueRedis = connect(redisUrl, "worker", this.#onError("redis"));
    this.#commandRedis = connect(redisUrl, "command", this.#onError("redis"));
    this.#locks = new LockKeeper({
      times: settings.lockTimes,
      onLost: ({ id }) => this.#emit("job:lock-lost", { id }),
      onError: this.#onError("locks"),
    });
    const outboxes = Object.values(pools.pools).flatMap((pool) => this.#addPool(pool));
    this.#mover = new Mover({
      outboxes,
      deadLetters: createDynamoDbStore({ tableName: deadLetterTable }),
      emit: this.#emit,
      clock: Date.now,
      random: Math.random,
    });
  }

  /** Waits for Redis, publishes the pools' limits, then starts to take jobs. Rejects when this Redis is unfit. */
  async start(): Promise<void> {
    await insist(async () => this.#commandRedis.ping(), {
      part: "redis",
      signal: this.#abort.signal,
      emit: this.#emit,
    });
    await assertFit(this.#commandRedis);
    const { pools } = this.#settings.pools;
    for (const pool of Object.values(pools)) {
      await this.#limiters.get(pool.name)?.configure(pool.name, poolLimits(pool));
    }
    this.#locks.start();
    this.#mover.start();
    for (const sweeper of this.#sweepers) sweeper.start();
    await Promise.all(this.#intakes.map(async (intake) => intake.start()));
    const slots = Object.values(pools).reduce((sum, pool) => sum + pool.slots, 0);
    this.#emit("worker:started", { pools: Object.keys(pools), slots });
  }

  /**
   * Takes no more jobs, hands back what waits at the gate, lets calls in flight finish for `graceMs`, then aborts and
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
    await Promise.all([this.#mover.stop(), ...this.#sweepers.map(async (sweeper) => sweeper.stop())]);
    this.#locks.stop();
    await Promise.all(this.#intakes.map(async (intake) => intake.close()));
    for (const bedrock of this.#bedrocks) bedrock.close();
  }

  /** Wires a pool; resolves to the outboxes of its lanes. */
  #addPool(pool: Pool): Outbox[] {
    const { namespace, pools } = this.#settings;
    const scope = pools.scopes[pool.scope];
    if (scope === undefined) throw new Error(`Pool '${pool.name}' names no known scope`);
    const space = keySpace(namespace, scope.name);
    const limiter = createRedisLimiter({ redis: this.#commandRedis, keySpace: space });
    const bedrock = createBedrock({
      region: scope.region,
      maxConnections: pool.slots + 8,
      clock: Date.now,
    });
    const outcomes = new OutcomeStore(this.#commandRedis, space);
    this.#limiters.set(pool.name, limiter);
    this.#bedrocks.push(bedrock);
    const drain = new Drain({
      chain: [
        {
          pool: pool.name,
          laneFor: (lane) => lane,
          gate: limiter,
          model: model(pool, bedrock),
          tryAcquire: () => () => {},
        },
      ],
      outcomes,
      ledger: { begin: async () => ({ type: "go", call: 1 }), end: async () => {} },
      cancels: { isRequested: async () => false },
      cache: { lead: async () => ({ type: "leader" }), put: async () => {}, release: async () => {} },
      chunks: { open: () => ({ write: () => {}, end: async () => {} }) },
      startPolling: async () => {},
      decodePayload,
      callTimeoutMs: pool.callTimeoutMs,
      abort: this.#abort.signal,
      emit: this.#emit,
      clock: Date.now,
      random: Math.random,
    });
    const slots = new Slots(pool.lanes, pool.slots);
    return pool.lanes.map((lane) => {
      const names = { keySpace: space, pool: pool.name, lane };
      this.#intakes.push(
        new Intake({
          ...names,
          redis: this.#queueRedis,
          slots,
          locks: this.#locks,
          take: async (job, signal) => drain.take(job, signal),
          onError: this.#onError(`intake ${pool.name}.${lane}`),
          stalledIntervalMs: this.#settings.stalledIntervalMs,
        }),
      );
      this.#sweepers.push(
        new Sweeper({
          ...names,
          redis: this.#queueRedis,
          onExpired: (id) => this.#emit("job:expired", { id }),
          onError: this.#onError(`sweeper ${pool.name}.${lane}`),
        }),
      );
      const failed = new FailedSet(this.#commandRedis, space, pool.name, lane);
      return {
        pool: pool.name,
        lane,
        outcomes,
        size: async () => failed.size(),
        oldest: async (limit) => failed.oldest(limit),
        drop: async (job) => failed.drop(job),
      };
    });
  }

  #nudgeMover(event: string): void {
    if (event === "job:dead" || event === "job:expired") this.#mover.nudge();
  }

  #onError(part: string): (error: unknown) => void {
    return (error) => this.#emit("worker:error", { part, error: describe(error) });
  }
}

/** A pool's model as the drain calls it. */
function model(pool: Pool, bedrock: BedrockCaller): Model {
  return {
    call: async (work, { jobId, signal }) => {
      if (work.kind !== "converse") throw new Error(work.kind);
      return bedrock.converse({
        model: pool.model,
        request: work.request,
        jobId,
        signal,
        timeoutMs: pool.callTimeoutMs,
      });
    },
    reserve: (work) => ({
      requests: 1,
      tokens: work.kind === "converse" ? reservation(work.request).tokens : 0,
    }),
    settled: (usage) => ({ requests: 1, tokens: settled(usage, pool.burndown) }),
    learn: () => {},
  };
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(ms, undefined, { ref: false })]);
}
