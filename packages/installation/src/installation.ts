/**
 * What one installation has, opened once for a program: a connection to Redis, the shared time, and for every scope and pool
 * of its file the queues, limiters and stores. It opens nothing of AWS; `letters.ts` does.
 */
import type { Pools } from "@sluice/config";
import type { Clock } from "@sluice/job";
import { connect, RedisClock, timeSource, type ConnectionProfile, type KeySpace } from "@sluice/redis";
import { ChunkReader } from "@sluice/results";
import type { Redis } from "ioredis";
import { OpenPool } from "./pool.ts";
import { OpenScope } from "./scope.ts";

export interface InstallationOptions {
  readonly pools: Pools;
  /** Separates installations that share one Redis. */
  readonly namespace: string;
  readonly redisUrl: string;
  /** What is asked over its connection: `producer` for what answers callers, `command` for what works by itself. */
  readonly profile: ConnectionProfile;
  /** How long after its last beat a worker counts as alive, milliseconds. Default: that of the ledger. */
  readonly heartbeatTtlMs?: number;
  /** Hears what goes wrong beside a question: of the connection, and of its queues. */
  readonly onError: (error: unknown) => void;
}

export class Installation implements AsyncDisposable {
  readonly file: Pools;
  readonly namespace: string;
  readonly redis: Redis;
  readonly redisClock: RedisClock;
  /** The shared time. Before it is first known, the machine's: `redisClock.known()`. */
  readonly clock: Clock;
  readonly scopes: ReadonlyMap<string, OpenScope>;
  readonly pools: ReadonlyMap<string, OpenPool>;
  readonly #reader: ChunkReader;

  /** Connects in the background. @throws RangeError when the URL names no database that there could be. */
  constructor(options: InstallationOptions) {
    const { pools: file, namespace, redisUrl, profile, onError, heartbeatTtlMs } = options;
    this.file = file;
    this.namespace = namespace;
    const redis = connect(redisUrl, profile, onError);
    this.redis = redis;
    this.redisClock = new RedisClock({ source: timeSource(redis, namespace) });
    const clock = this.redisClock.now;
    this.clock = clock;
    const reader = new ChunkReader(redis);
    this.#reader = reader;
    this.scopes = new Map(
      Object.keys(file.scopes).map((name) => [
        name,
        new OpenScope({ name, namespace, redis, reader, clock, heartbeatTtlMs, onError }),
      ]),
    );
    this.pools = new Map(
      Object.values(file.pools).map((pool) => {
        const scope = file.scopes[pool.scope];
        if (scope === undefined) throw new Error(`Pool '${pool.name}' names no known scope`);
        return [pool.name, new OpenPool(pool, scope, this.scope(pool.scope))];
      }),
    );
  }

  /** @throws Error when the pools file has no such scope. */
  scope(name: string): OpenScope {
    const scope = this.scopes.get(name);
    if (scope === undefined) throw new Error(`There is no scope '${name}'`);
    return scope;
  }

  get keySpaces(): readonly KeySpace[] {
    return [...this.scopes.values()].map(({ keySpace }) => keySpace);
  }

  /** Ends the connections at once. What is asked meanwhile is rejected. */
  disconnect(): void {
    this.#reader.close();
    this.redis.disconnect();
  }

  /** Closes the queues; the connections stay. */
  async closeLanes(): Promise<void> {
    await Promise.all([...this.scopes.values()].map(async (scope) => scope.close()));
  }

  /** Closes the queues, then the connections. */
  async close(): Promise<void> {
    await this.closeLanes();
    this.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
