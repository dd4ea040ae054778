/** What one scope of an installation holds in Redis: its limiter, and all that is known of its jobs. */
import { queueName, type Clock } from "@sluice/job";
import {
  createOperations,
  createQuotaLog,
  createRedisLimiter,
  type Inspection,
  type OperableLimiter,
  type Operations,
  type QuotaLog,
} from "@sluice/limits";
import { isKnownLane, knownLanes, LaneQueue, unended, type LaneName } from "@sluice/queue";
import { keySpace, type KeySpace } from "@sluice/redis";
import {
  CallLedger,
  CancelFlags,
  ChunkStream,
  type ChunkReader,
  ClaimStore,
  describeWorkers,
  type DeniedWorker,
  type Identities,
  Lineage,
  OutcomeStore,
  readIdentities,
  readOpenCall,
  readServed,
  ResponseCache,
  UsageStore,
  type OpenCall,
  type Served,
} from "@sluice/results";
import type { Redis } from "ioredis";

export interface OpenScopeOptions {
  readonly name: string;
  readonly namespace: string;
  /** Its owner ends it. */
  readonly redis: Redis;
  /** Reads streamed text for all scopes of the installation. */
  readonly reader: ChunkReader;
  /** The shared time. */
  readonly clock: Clock;
  /** How long after its last beat a worker counts as alive, milliseconds. Default: that of the ledger. */
  readonly heartbeatTtlMs?: number | undefined;
  readonly onError: (error: unknown) => void;
}

export class OpenScope {
  readonly name: string;
  readonly keySpace: KeySpace;
  readonly limiter: OperableLimiter;
  readonly quotaLog: QuotaLog;
  readonly operations: Operations;
  readonly outcomes: OutcomeStore;
  readonly claims: ClaimStore;
  readonly lineage: Lineage;
  readonly cancels: CancelFlags;
  readonly ledger: CallLedger;
  readonly chunks: ChunkStream;
  readonly cache: ResponseCache;
  readonly usage: UsageStore;
  readonly #options: OpenScopeOptions;
  readonly #lanes = new Map<string, LaneQueue>();

  constructor(options: OpenScopeOptions) {
    const { name, namespace, redis, reader, clock, heartbeatTtlMs } = options;
    const space = keySpace(namespace, name);
    this.#options = options;
    this.name = name;
    this.keySpace = space;
    this.limiter = createRedisLimiter({ redis, keySpace: space });
    this.quotaLog = createQuotaLog(redis, space);
    this.operations = createOperations(redis, space, clock);
    this.outcomes = new OutcomeStore(redis, space);
    this.claims = new ClaimStore(redis, space);
    this.lineage = new Lineage(redis, space);
    this.cancels = new CancelFlags(redis, space);
    this.ledger = new CallLedger({
      redis,
      keySpace: space,
      ...(heartbeatTtlMs === undefined ? {} : { graceMs: heartbeatTtlMs }),
    });
    this.chunks = new ChunkStream(redis, space, reader);
    this.cache = new ResponseCache(redis, space, clock);
    this.usage = new UsageStore(redis, space);
  }

  /** The queue of a lane, opened when it is asked for first. Whether anybody serves it is another question. */
  lane(pool: string, lane: string): LaneQueue {
    const name = queueName(pool, lane);
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const { redis, clock, onError } = this.#options;
    const opened = new LaneQueue({ redis, keySpace: this.keySpace, pool, lane, clock, onError });
    this.#lanes.set(name, opened);
    return opened;
  }

  /** How the limits of a pool stand; `undefined` while no worker has declared it. */
  async inspect(pool: string): Promise<Inspection | undefined> {
    return this.limiter.inspect(pool).catch(unlessUnknown);
  }

  /** The lanes that Redis knows, whether or not they are in a pools file. */
  async knownLanes(): Promise<readonly LaneName[]> {
    return knownLanes(this.#options.redis, this.keySpace);
  }

  async isKnownLane(lane: LaneName): Promise<boolean> {
    return isKnownLane(this.#options.redis, this.keySpace, lane);
  }

  /** Jobs of a lane that have not ended. */
  async unended(lane: LaneName): Promise<number> {
    return unended(this.#options.redis, this.keySpace, lane);
  }

  /** What the workers of the scope say of their credentials and their way to Bedrock. */
  async identities(): Promise<Identities> {
    return readIdentities(this.#options.redis, this.keySpace);
  }

  /**
   * Which workers cannot call a pool, and why, in words; `undefined` while all can. `isolated`: none can.
   * @param denied as the pool's limiter knows them.
   */
  async describeWorkers(
    denied: readonly DeniedWorker[],
  ): Promise<{ readonly line: string; readonly isolated: boolean } | undefined> {
    return describeWorkers(this.#options.redis, this.keySpace, denied);
  }

  /** Which lanes have a worker. */
  async served(): Promise<Served> {
    return readServed(this.#options.redis, this.keySpace);
  }

  /** The call of a job that is in flight, as far as its ledger knows. */
  async openCall(id: string): Promise<OpenCall | undefined> {
    return readOpenCall(this.#options.redis, this.keySpace, id);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(async (lane) => lane.close()));
  }
}

/** The limiter's word for a pool that nobody has declared. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof RangeError)) throw error;
}
