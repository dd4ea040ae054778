/** What the pools of one scope share in a worker: the connection to Bedrock, the limiter, and who has a call in flight. */
import { createBedrock, type BedrockCaller } from "@sluice/bedrock";
import { poolLimits, type Pool, type Scope } from "@sluice/config";
import {
  createIdentityGuard,
  type Cache,
  type CacheQuestion,
  type Cancels,
  type Chunks,
  type Gate,
  type IdentityGuard,
  type Ledger,
  type Outcomes,
} from "@sluice/drain";
import { queueName, type Emit } from "@sluice/job";
import {
  createQuotaLog,
  createRedisLimiter,
  guardLimiter,
  isIdle,
  REDECLARE_MS,
  watchLimits,
  type LimitsChange,
  type OperableLimiter,
  type PoolLimits,
} from "@sluice/limits";
import { POLLS_LANE, type LaneName } from "@sluice/queue";
import { connectionOptions, keySpace, type KeySpace } from "@sluice/redis";
import {
  cacheKey,
  CallLedger,
  CancelFlags,
  ChunkStream,
  Heartbeat,
  IdentityNote,
  OutcomeStore,
  ResponseCache,
  ServedNote,
  UsageStore,
  type CancelSubscription,
  type UsedCall,
} from "@sluice/results";
import type { Redis } from "ioredis";
import { guardedBedrock } from "./guarded-bedrock.ts";
import { tellOverrides } from "./quota-overrides.ts";

export interface ScopeOptions {
  readonly scope: Scope;
  /** Pools of this scope. */
  readonly pools: readonly Pool[];
  readonly namespace: string;
  /** A connection of the `command` profile. */
  readonly redis: Redis;
  /** How long after its last beat this process counts as alive, milliseconds. */
  readonly heartbeatTtlMs: number;
  /** A caller wants this job no more. */
  readonly onCancel: (id: string) => void;
  /** A pool takes no calls from now on. */
  readonly onShut: (pool: string) => void;
  readonly emit: Emit;
  /** The jobs at the gate and in flight: asked after a reconnect, which may have missed somebody's cancelling. */
  readonly inHand: () => Iterable<string>;
  readonly onError: (part: string) => (error: unknown) => void;
}

/** Well within the time after which a silent connection is cut, milliseconds. */
const PING_EVERY_MS = 10_000;

/** What a breaker moves to when calls that it granted shall not start. */
const SHUT: ReadonlySet<string> = new Set(["open", "suspected", "isolated"]);

/** Room for calls that an answer is still being read from while the next have begun. */
const SPARE_CONNECTIONS = 8;

/** How long one look at a pool's limits serves its lanes, milliseconds. */
const LOOK_AGE_MS = 1_000;

/** Beyond a leader's deadline: time for its end to be stored. */
const LEAD_GRACE_MS = 60_000;

export class ScopeParts {
  readonly keySpace: KeySpace;
  readonly bedrock: BedrockCaller;
  /** Whether this process has credentials for the scope. */
  readonly identity: IdentityGuard;
  /** Closed for admission while Redis is away, and while there are no credentials. */
  readonly gate: Gate;
  readonly outcomes: Outcomes;
  readonly ledger: Ledger;
  readonly cancels: Cancels;
  readonly chunks: Chunks;
  readonly cache: Cache;
  /** Losing a figure costs nothing but its weight in a report. */
  readonly onUsage: (call: UsedCall) => void;
  readonly #options: ScopeOptions;
  readonly #limiter: OperableLimiter;
  readonly #looks = new Map<string, { readonly at: number; readonly idle: Promise<boolean> }>();
  readonly #heartbeat: Heartbeat;
  readonly #note: IdentityNote;
  readonly #served: ServedNote;
  readonly #flags: CancelFlags;
  #subscription: CancelSubscription | undefined;
  #stopListening: (() => void) | undefined;
  #redeclaring: NodeJS.Timeout | undefined;

  constructor(options: ScopeOptions) {
    const { scope, pools, namespace, redis, onError, heartbeatTtlMs: ttlMs } = options;
    const space = keySpace(namespace, scope.name);
    this.#options = options;
    this.keySpace = space;
    const bedrock = createBedrock({
      region: scope.region,
      ...(scope.profile === null ? {} : { profile: scope.profile }),
      maxConnections: pools.reduce((sum, pool) => sum + pool.slots, SPARE_CONNECTIONS),
      clock: Date.now,
    });
    this.#heartbeat = new Heartbeat({ redis, keySpace: space, ttlMs, onError: onError("heartbeat") });
    const { owner } = this.#heartbeat;
    this.#note = new IdentityNote({ redis, keySpace: space, owner, ttlMs, onError: onError("identity") });
    this.#served = new ServedNote({
      redis,
      keySpace: space,
      owner,
      ttlMs,
      lanes: lanesOf(pools).map(({ pool, lane }) => queueName(pool, lane)),
      onError: onError("served"),
    });
    this.identity = createIdentityGuard({
      scope: scope.name,
      renew: async () => (await bedrock.renewIdentity())?.failure.errorClass,
      onChange: (lost) => {
        this.#note.tell(lost);
        // What was granted and has not started would meet the same.
        if (lost !== undefined) for (const { name } of pools) options.onShut(name);
      },
      emit: options.emit,
      clock: Date.now,
    });
    this.bedrock = guardedBedrock(bedrock, this.identity);
    this.#limiter = createRedisLimiter({ redis, keySpace: space });
    const guarded = guardLimiter(this.#limiter, { onUnanswered: onError("gate") });
    const tell = (change: LimitsChange): void => tellChange(options.emit, change);
    this.gate = this.identity.guard({
      async admit(request) {
        const admission = await guarded.admit(request);
        admission.changes?.forEach(tell);
        return admission;
      },
      async settle(settlement) {
        const reply = await guarded.settle(settlement);
        if (reply.type === "late") return {};
        reply.changes?.forEach(tell);
        return reply;
      },
    });
    const outcomes = new OutcomeStore(redis, space);
    this.outcomes = {
      get: async (id) => outcomes.get(id),
      put: async (outcome) => outcomes.putAndClose(outcome, owner),
    };
    const ledger = new CallLedger({ redis, keySpace: space, graceMs: ttlMs });
    this.ledger = {
      begin: async (call) => ledger.begin({ ...call, owner }),
      end: async (id) => ledger.end({ id, owner }),
      abandon: async (id) => ledger.abandon({ id, owner }),
    };
    this.#flags = new CancelFlags(redis, space);
    this.cancels = this.#flags;
    const chunks = new ChunkStream(redis, space);
    this.chunks = { open: (stream) => chunks.open({ ...stream, onError: onError("chunks") }) };
    const usage = new UsageStore(redis, space);
    this.onUsage = (call) => void usage.add(call).catch(onError("usage"));
    this.cache = responseCache(new ResponseCache(redis, space), pools);
  }

  /** Publishes a pool's limits, as the pools file has them, and tells what an operator has set otherwise. */
  async configure(pool: Pool): Promise<void> {
    await this.#limiter.configure(pool.name, this.limitsOf(pool));
    await this.#tellOverrides(pool);
  }

  /** The limits of a pool as the pools file has them. */
  limitsOf(pool: Pool): PoolLimits {
    return poolLimits(pool, this.#options.scope);
  }

  /** Whether the pool takes calls and has quota to spare. Looks at most once a second for all lanes of the pool. */
  async isIdle(pool: string): Promise<boolean> {
    const last = this.#looks.get(pool);
    if (last !== undefined && Date.now() - last.at < LOOK_AGE_MS) return last.idle;
    const idle = this.#limiter.inspect(pool).then(isIdle);
    this.#looks.set(pool, { at: Date.now(), idle });
    return idle;
  }

  async start(): Promise<void> {
    const { onCancel, inHand, onError } = this.#options;
    // First the note: who beats and says nothing is taken for one of a version before.
    await this.#served.start();
    await this.#heartbeat.start();
    this.#subscription = this.#flags.subscribe({ onCancel, inHand, onError: onError("cancels") });
    this.#listen();
    this.#redeclaring = setInterval(() => void this.#redeclare(), REDECLARE_MS);
  }

  /** The limits of a file count for as long as a worker says them. */
  async #redeclare(): Promise<void> {
    const { pools, onError } = this.#options;
    for (const pool of pools) {
      await this.#limiter.configure(pool.name, this.limitsOf(pool)).catch(onError("limits"));
    }
  }

  /** Hears of pools that are shut, on a connection of its own. News that is missed costs calls, not correctness. */
  #listen(): void {
    const { redis, onShut, onError, pools } = this.#options;
    const subscriber = redis.duplicate({ ...connectionOptions("worker"), commandTimeout: undefined });
    subscriber.on("error", onError("news"));
    // Else a connection without news is taken for dead and cut.
    const pinging = setInterval(() => void subscriber.ping().catch(onError("news")), PING_EVERY_MS);
    this.#stopListening = () => {
      clearInterval(pinging);
      subscriber.disconnect();
    };
    const hear = (change: LimitsChange): void => {
      if (change.type === "breaker" && SHUT.has(change.to)) onShut(change.pool);
      if (change.type === "hold") onShut(change.pool);
      if (change.type === "limits") this.#tellLimits(change);
      // Whoever acts by hand has no log of his own.
      if (change.type === "operated") tellChange(this.#options.emit, change);
      if (change.type === "day" && change.untilMs > 0) {
        const parked = change.alone === true ? [change.pool] : pools.map(({ name }) => name);
        parked.forEach(onShut);
      }
    };
    void watchLimits(subscriber, this.keySpace, hear).catch(onError("news"));
  }

  async #tellOverrides(pool: Pool): Promise<void> {
    const { scope, redis, emit } = this.#options;
    const log = createQuotaLog(redis, this.keySpace);
    await tellOverrides(pool, { limiter: this.#limiter, log, scope, emit });
  }

  /** A worker that started, or an operator, has changed a pool's limits. */
  #tellLimits({ pool: name, version }: { readonly pool: string; readonly version: number }): void {
    const { pools, emit, onError } = this.#options;
    emit("limits:changed", { pool: name, version });
    const pool = pools.find((each) => each.name === name);
    if (pool !== undefined) void this.#tellOverrides(pool).catch(onError("limits"));
  }

  /** Says farewell, so that calls it left open may be repeated at once. */
  async stop(): Promise<void> {
    clearInterval(this.#redeclaring);
    this.#subscription?.stop();
    this.identity.stop();
    await this.#note.stop();
    await this.#served.stop();
    this.#stopListening?.();
    await this.#heartbeat.stop();
    this.bedrock.close();
  }
}

/** The lanes of these pools, and the queues of their polls. */
export function lanesOf(pools: readonly Pool[]): LaneName[] {
  return pools.flatMap(({ name, lanes }) => [...lanes, POLLS_LANE].map((lane) => ({ pool: name, lane })));
}

/** What a call of this process changed in the limits, as an event. */
function tellChange(emit: Emit, change: LimitsChange): void {
  switch (change.type) {
    case "breaker": {
      const { pool, from, to, untilMs } = change;
      emit("breaker:changed", { pool, from, to, untilMs });
      break;
    }
    case "day":
      emit("quota:parked", { pool: change.pool, untilMs: change.untilMs, alone: change.alone === true });
      break;
    case "hold":
      emit("pool:held", { pool: change.pool, untilMs: change.untilMs });
      break;
    case "quota-doubtful": {
      const { pool, dimension, doubtful, ceiling, perMinute } = change;
      emit("quota:doubtful", { pool, dimension, doubtful, ceiling, perMinute });
      break;
    }
    case "operation-denied": {
      const { pool, operation, denied } = change;
      emit("operation:denied", { pool, operation, denied });
      break;
    }
    case "limits":
      emit("limits:changed", { pool: change.pool, version: change.version });
      break;
    case "operated": {
      const { pool, id, phase, by, from, action } = change;
      emit("operator:acted", { pool, id, phase, by, from, action });
      break;
    }
  }
}

/** The cache by question: equal requests to the model of one pool, of one tenant. */
function responseCache(cache: ResponseCache, pools: readonly Pool[]): Cache {
  const keyOf = ({ tenant, pool, work }: CacheQuestion): string =>
    cacheKey({ tenant, pool, model: poolOf(pools, pool).model, request: work });
  return {
    lead: async (question, leadMs) =>
      cache.lead({ key: keyOf(question), jobId: question.id, ttlMs: leadMs + LEAD_GRACE_MS }),
    put: async (question, answer) =>
      cache.put({ key: keyOf(question), jobId: question.id, answer, ttlMs: question.ttlMs }),
    release: async (question) => cache.release({ key: keyOf(question), jobId: question.id }),
  };
}

function poolOf(pools: readonly Pool[], name: string): Pool {
  const pool = pools.find((each) => each.name === name);
  if (pool === undefined) throw new Error(`Expected pool '${name}' to be one of this scope`);
  return pool;
}
