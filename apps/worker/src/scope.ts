/** What the pools of one scope share in a worker: the connection to Bedrock, the limiter, and who has a call in flight. */
import { createBedrock, type BedrockCaller } from "@sluice/bedrock";
import { poolLimits, type Pool, type Scope } from "@sluice/config";
import {
  createProcessGuard,
  type Cache,
  type CacheQuestion,
  type Cancels,
  type Chunks,
  type Gate,
  type Ledger,
  type Outcomes,
  type ProcessGuard,
} from "@sluice/drain";
import type { OpenScope } from "@sluice/installation";
import { queueName } from "@sluice/job";
import {
  guardLimiter,
  isIdle,
  REDECLARE_MS,
  watchLimits,
  type LimitsChange,
  type PoolLimits,
} from "@sluice/limits";
import type { Need } from "@sluice/process";
import { POLLS_LANE, type LaneName } from "@sluice/queue";
import { connectionOptions, type KeySpace } from "@sluice/redis";
import {
  cacheKey,
  Heartbeat,
  IdentityNote,
  type ResponseCache,
  ServedNote,
  type CancelSubscription,
  type UsedCall,
} from "@sluice/results";
import { tellError, type Fittings } from "./fittings.ts";
import { guardedBedrock, type GuardedBedrock } from "./guarded-bedrock.ts";
import { tellOverrides } from "./quota-overrides.ts";
import { SlowPools } from "./slow-pools.ts";
import { tellChange } from "./tell-change.ts";

export interface WorkerScopeOptions {
  readonly fittings: Fittings;
  readonly scope: Scope;
  readonly open: OpenScope;
  /** Pools of this scope. */
  readonly pools: readonly Pool[];
  /** How long after its last beat this process counts as alive, milliseconds. */
  readonly heartbeatTtlMs: number;
  /** A caller wants this job no more. */
  readonly onCancel: (id: string) => void;
  /** A pool takes no calls from now on. */
  readonly onShut: (pool: string) => void;
  /** The jobs at the gate and in flight: asked after a reconnect, which may have missed somebody's cancelling. */
  readonly inHand: () => Iterable<string>;
}

/** Well within the time after which a silent connection is cut, milliseconds. */
const PING_EVERY_MS = 10_000;

/** What a breaker moves to when calls that it granted shall not start. */
const SHUT: ReadonlySet<string> = new Set(["open", "suspected", "isolated"]);

/** Room for calls that an answer is still being read from while the next have begun. */
const SPARE_CONNECTIONS = 8;

/** How long one look at a pool's limits serves its lanes, milliseconds. */
const LOOK_AGE_MS = 1_000;

/** How often in the life of a beat others learn whether this process has the calls that they wait for. */
const DOUBTS_PER_BEAT_LIFE = 4;

/** Beyond a leader's deadline: time for its end to be stored. */
const LEAD_GRACE_MS = 60_000;

export class WorkerScope {
  readonly open: OpenScope;
  /** The lanes that this worker serves. */
  readonly lanes: readonly LaneName[];
  /** Whether this process is let in: it has credentials for the scope, and a way to its Bedrock. */
  readonly guard: ProcessGuard;
  /** Closed for admission while Redis is away, and while the process is not let in. */
  readonly gate: Gate;
  readonly outcomes: Outcomes;
  readonly ledger: Ledger;
  readonly cancels: Cancels;
  readonly chunks: Chunks;
  readonly cache: Cache;
  /** Losing a figure costs nothing but its weight in a report. */
  readonly onUsage: (call: UsedCall) => void;
  readonly #options: WorkerScopeOptions;
  readonly #bedrock: BedrockCaller;
  readonly #slow: SlowPools;
  readonly #looks = new Map<string, { readonly at: number; readonly idle: Promise<boolean> }>();
  readonly #heartbeat: Heartbeat;
  readonly #note: IdentityNote;
  readonly #served: ServedNote;
  readonly #answerDoubts: () => Promise<unknown>;
  #subscription: CancelSubscription | undefined;
  #doubting: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;
  #redeclaring: NodeJS.Timeout | undefined;

  readonly #onError = (part: string): ((error: unknown) => void) =>
    tellError(this.#options.fittings.emit, part);

  constructor(options: WorkerScopeOptions) {
    const { fittings, scope, open, pools, heartbeatTtlMs: ttlMs } = options;
    const { commandRedis: redis, time, emit } = fittings;
    const { keySpace, limiter } = open;
    this.#options = options;
    const onError = this.#onError;
    this.open = open;
    this.lanes = lanesOf(pools);
    this.#bedrock = createBedrock({
      region: scope.region,
      ...(scope.profile === null ? {} : { profile: scope.profile }),
      // Twice: some calls go beyond the slots while all of them hang.
      maxConnections: pools.reduce((sum, pool) => sum + 2 * pool.slots, SPARE_CONNECTIONS),
      // AWS has a clock of its own, and so have its signatures.
      clock: Date.now,
    });
    this.#heartbeat = new Heartbeat({ redis, keySpace, ttlMs, onError: onError("heartbeat") });
    const { owner } = this.#heartbeat;
    this.#note = new IdentityNote({ redis, keySpace, owner, ttlMs, onError: onError("identity") });
    this.#served = new ServedNote({
      redis,
      keySpace,
      owner,
      ttlMs,
      lanes: this.lanes.map(({ pool, lane }) => queueName(pool, lane)),
      onError: onError("served"),
    });
    this.guard = createProcessGuard({
      scope: scope.name,
      renew: async () => (await this.#bedrock.renewIdentity())?.failure.errorClass,
      onChange: (out) => {
        this.#note.tell(out);
        // What was granted and has not started would meet the same.
        if (out !== undefined) for (const { name } of pools) options.onShut(name);
      },
      emit,
      clock: time.clock,
      monotonic: time.monotonic,
    });
    const slow = new SlowPools({
      scope: scope.name,
      pools: pools.map(({ name }) => name),
      inspect: async (pool) => limiter.inspect(pool),
      emit,
      onError: onError("limits"),
    });
    this.#slow = slow;
    const guarded = guardLimiter(limiter, { onUnanswered: onError("gate") });
    const tell = (change: LimitsChange): void => tellChange(emit, change);
    this.gate = this.guard.guard({
      async admit(request) {
        const admission = await guarded.admit({ ...request, process: owner });
        slow.heardAtGate(request.pool, admission);
        admission.changes?.forEach(tell);
        return admission;
      },
      async settle(settlement) {
        const reply = await guarded.settle(settlement);
        if (reply.type === "late") return {};
        slow.heardOfRetry(settlement.pool, reply);
        reply.changes?.forEach(tell);
        return reply;
      },
    });
    const { ledger, outcomes, chunks, usage } = open;
    this.outcomes = {
      get: async (id) => outcomes.get(id),
      put: async (outcome) => {
        const first = await outcomes.putAndClose(outcome, owner);
        ledger.closed(outcome.id);
        return first;
      },
    };
    this.#answerDoubts = async () => ledger.answerDoubts(owner);
    this.ledger = {
      begin: async (call) => ledger.begin({ ...call, owner }),
      end: async (id) => ledger.end({ id, owner }),
      abandon: async (id) => ledger.abandon({ id, owner }),
      left: async (id) => ledger.left(id),
      forget: async (id, reservations) => ledger.forget(id, reservations),
    };
    this.cancels = open.cancels;
    this.chunks = { open: (stream) => chunks.open({ ...stream, onError: onError("chunks") }) };
    this.onUsage = (call) => void usage.add(call).catch(onError("usage"));
    this.cache = responseCache(open.cache, pools);
  }

  get keySpace(): KeySpace {
    return this.open.keySpace;
  }

  /** Calls to Bedrock for a pool of this scope. */
  bedrockFor(pool: string): GuardedBedrock {
    return guardedBedrock(this.#bedrock, this.guard, pool);
  }

  /** Publishes a pool's limits, as the pools file has them, and tells what an operator has set otherwise. */
  async configure(pool: Pool): Promise<void> {
    await this.open.limiter.configure(pool.name, this.limitsOf(pool));
    await this.#tellOverrides(pool);
  }

  /** As `configure`, after Redis has lost its data. */
  async restore(pool: Pool): Promise<void> {
    await this.open.limiter.restore(pool.name, this.limitsOf(pool));
  }

  /** What to look for when the process starts: without it every call would fail. */
  get identityNeed(): Need {
    const { name } = this.#options.scope;
    return { name: `AWS credentials of scope '${name}'`, check: async () => this.#findIdentity() };
  }

  async #findIdentity(): Promise<void> {
    const { out } = this.guard;
    // From now on the guard looks for them.
    if (out?.why === "identity") throw new Error(out.errorClass);
    const failed = await this.#bedrock.renewIdentity();
    if (failed === undefined) return;
    const { errorClass, message } = failed.failure;
    this.guard.lacks(errorClass);
    throw new Error(`${errorClass}: ${message}`);
  }

  /** The limits of a pool as the pools file has them. */
  limitsOf(pool: Pool): PoolLimits {
    return poolLimits(pool, this.#options.scope);
  }

  /** Whether the pool takes calls and has quota to spare. Looks at most once a second for all lanes of the pool. */
  async isIdle(pool: string): Promise<boolean> {
    const now = this.#options.fittings.time.monotonic();
    const last = this.#looks.get(pool);
    if (last !== undefined && now - last.at < LOOK_AGE_MS) return last.idle;
    const idle = this.open.limiter.inspect(pool).then(isIdle);
    this.#looks.set(pool, { at: now, idle });
    return idle;
  }

  async start(): Promise<void> {
    const { onCancel, inHand, heartbeatTtlMs } = this.#options;
    const onError = this.#onError;
    // First the note: who beats and says nothing is taken for one of a version before.
    await this.#served.start();
    await this.#heartbeat.start();
    const answer = (): void => void this.#answerDoubts().catch(onError("ledger"));
    this.#doubting = setInterval(answer, heartbeatTtlMs / DOUBTS_PER_BEAT_LIFE);
    this.#subscription = this.open.cancels.subscribe({ onCancel, inHand, onError: onError("cancels") });
    this.#redeclaring = setInterval(() => void this.#redeclare(), REDECLARE_MS);
    await this.#listen();
    this.#slow.start();
  }

  /** The limits of a file count for as long as a worker says them. */
  async #redeclare(): Promise<void> {
    for (const pool of this.#options.pools) {
      await this.open.limiter.configure(pool.name, this.limitsOf(pool)).catch(this.#onError("limits"));
    }
  }

  /** Hears of pools that are shut, on a connection of its own. News that is missed costs calls, not correctness. */
  async #listen(): Promise<void> {
    const { onShut, pools, fittings } = this.#options;
    const onError = this.#onError;
    const subscriber = fittings.commandRedis.duplicate({
      ...connectionOptions("worker"),
      commandTimeout: undefined,
    });
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
      if (change.type === "operated") tellChange(fittings.emit, change);
      if (change.type === "day" && change.untilMs > 0) {
        const parked = change.alone === true ? [change.pool] : pools.map(({ name }) => name);
        parked.forEach(onShut);
      }
    };
    await watchLimits(subscriber, this.keySpace, hear).catch(onError("news"));
  }

  async #tellOverrides(pool: Pool): Promise<void> {
    const { scope, fittings } = this.#options;
    const { limiter, quotaLog: log } = this.open;
    await tellOverrides(pool, { limiter, log, scope, emit: fittings.emit });
  }

  /** A worker that started, or an operator, has changed a pool's limits. */
  #tellLimits({ pool: name, version }: { readonly pool: string; readonly version: number }): void {
    const { pools, fittings } = this.#options;
    fittings.emit("limits:changed", { pool: name, version });
    const pool = pools.find((each) => each.name === name);
    if (pool !== undefined) void this.#tellOverrides(pool).catch(this.#onError("limits"));
  }

  /** Says farewell, so that calls it left open may be repeated at once. */
  async stop(): Promise<void> {
    clearInterval(this.#redeclaring);
    this.#subscription?.stop();
    clearInterval(this.#doubting);
    this.#slow.stop();
    this.guard.stop();
    await this.#note.stop();
    await this.#served.stop();
    this.#stopListening?.();
    await this.#heartbeat.stop();
    this.#bedrock.close();
  }
}

/** The lanes of these pools, and the queues of their polls. */
function lanesOf(pools: readonly Pool[]): LaneName[] {
  return pools.flatMap(({ name, lanes }) => [...lanes, POLLS_LANE].map((lane) => ({ pool: name, lane })));
}

/** The cache by question: equal requests to the model of one pool, of one tenant. */
function responseCache(cache: ResponseCache, pools: readonly Pool[]): Cache {
  const keyOf = ({ tenant, pool, work }: CacheQuestion): string =>
    cacheKey({ tenant, pool, model: poolOf(pools, pool).model, request: work });
  return {
    lead: async (question, leadMs) =>
      cache.lead({
        key: keyOf(question),
        jobId: question.id,
        ttlMs: leadMs + LEAD_GRACE_MS,
        answerMs: question.ttlMs,
      }),
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
