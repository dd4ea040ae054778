/** Wires the API to Redis, the pools and the dead letter store. */
import type { Server } from "node:http";
import type { Pool, Pools, Scope } from "@sluice/config";
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import { createAccept, createCancel, createExplain, createFind, describe } from "@sluice/drain";
import { emitter, parseJobId, type Emit, type Listener } from "@sluice/job";
import { CapacityGuard, decodePayload, encodePayload } from "@sluice/queue";
import { connect, keySpace, RedisClock, timeSource } from "@sluice/redis";
import { closeServer, hostCheck, httpServer, listen, Standing } from "@sluice/process";
import { ChunkReader, describeIdentities, readIdentities } from "@sluice/results";
import { createApp } from "./app.ts";
import { Elsewhere } from "./elsewhere.ts";
import { OpenStreams, STREAM_BOUNDS, type StreamBounds } from "./open-streams.ts";
import { createApiPool, type ApiPool } from "./pool.ts";

export interface ApiSettings {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redisUrl: string;
  readonly deadLetterTable: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Names of this program in `Host` headers, beside loopback and its address. Default: none. */
  readonly allowedHosts?: readonly string[];
  /** Connections open at once. Default 4,000. */
  readonly maxConnections?: number;
  /** Default `STREAM_BOUNDS`. */
  readonly streams?: StreamBounds;
  readonly listeners: readonly Listener[];
  /** Hears why the process cannot go on with this Redis. Default: nobody. */
  readonly onUnfit?: (sentence: string) => void;
}

export class Api {
  readonly #settings: ApiSettings;
  readonly #emit: Emit;
  readonly #redis;
  readonly #pools: ReadonlyMap<string, ApiPool>;
  readonly #elsewhere: Elsewhere;
  readonly #deadLetters: DynamoDbStore;
  readonly #standing: Standing;
  readonly #reader: ChunkReader;
  readonly #streams: OpenStreams;
  readonly #server: Server;

  constructor(settings: ApiSettings) {
    this.#settings = settings;
    const { namespace } = settings;
    const emit = emitter(settings.listeners);
    this.#emit = emit;
    const onError = (error: unknown): void => emit("worker:error", { part: "api", error: describe(error) });
    const redis = connect(settings.redisUrl, "producer", onError);
    this.#redis = redis;
    const guard = new CapacityGuard(redis);
    const redisClock = new RedisClock({ source: timeSource(redis, namespace) });
    const clock = redisClock.now;
    const reader = new ChunkReader(redis);
    this.#reader = reader;
    this.#streams = new OpenStreams(settings.streams ?? STREAM_BOUNDS);
    const pools: ReadonlyMap<string, ApiPool> = new Map(
      Object.values(settings.pools.pools).map((pool) => [
        pool.name,
        createApiPool({
          pool,
          scope: scopeOf(settings.pools, pool),
          keySpace: keySpace(namespace, pool.scope),
          redis,
          reader,
          guard,
          clock,
          gateOf: (name) => pools.get(name)?.gate,
          onError,
        }),
      ]),
    );
    this.#pools = pools;
    this.#elsewhere = new Elsewhere({
      pools: settings.pools,
      namespace,
      redis,
      open: (pool, scope) =>
        createApiPool({
          pool,
          scope,
          keySpace: keySpace(namespace, scope.name),
          redis,
          reader,
          guard,
          gateOf: (name) => pools.get(name)?.gate,
          clock,
          onError,
        }),
    });
    this.#deadLetters = createDynamoDbStore({ tableName: settings.deadLetterTable, now: clock });
    this.#standing = new Standing({
      redis,
      clock: redisClock,
      keySpaces: Object.keys(settings.pools.scopes).map((scope) => keySpace(namespace, scope)),
      needs: [
        {
          name: `dead letter table '${settings.deadLetterTable}'`,
          check: async () => this.#deadLetters.check(),
        },
      ],
      emit,
      onUnfit: settings.onUnfit,
    });
    const elsewhere = async (pool: string, lane: string): Promise<ApiPool | undefined> =>
      this.#elsewhere.find(pool, lane);
    const find = createFind({ pools, elsewhere, deadLetters: this.#deadLetters });
    const accept = createAccept({ pools, encodePayload, emit, clock });
    const app = createApp({
      accept: async (...submitted) => {
        // A job of the first moment must not get the machine's time.
        await redisClock.known();
        return accept(...submitted);
      },
      find,
      cancel: createCancel({ pools, elsewhere, find, clock }),
      explain: createExplain({ pools, elsewhere, find, deadLetters: this.#deadLetters, decodePayload }),
      read: (id, options) => this.#poolOf(id).chunks.read({ id, ...options }),
      inspect: async (name) => {
        const pool = pools.get(name);
        if (pool === undefined) return undefined;
        const [inspection, identity, unservedLanes] = await Promise.all([
          pool.inspect(),
          pool.identity(),
          pool.unservedLanes(),
        ]);
        return {
          ...(inspection ?? { pool: name, takesCalls: false }),
          ...(identity === undefined ? {} : { identity: identity.line }),
          ...(Object.keys(unservedLanes).length === 0 ? {} : { unservedLanes }),
        };
      },
      health: async () => this.#standing.health(),
      unsafe: () => this.#standing.unsafe,
      isOurs: hostCheck(settings.host, settings.allowedHosts ?? []),
      streams: this.#streams,
      identities: async () => this.#identities(),
      onError,
    });
    this.#server = httpServer(app, { maxConnections: settings.maxConnections, onError });
  }

  /** Listens, whether or not Redis is there. Resolves to the URL. */
  async start(): Promise<string> {
    const { host, port, pools } = this.#settings;
    for (const warning of pools.warnings) this.#emit("config:warning", warning);
    this.#standing.start();
    return listen(this.#server, host, port);
  }

  /** Answers what was asked, then closes. */
  async stop(): Promise<void> {
    this.#standing.stop();
    this.#streams.close();
    await closeServer(this.#server);
    this.#reader.close();
    await Promise.all([...this.#pools.values(), ...this.#elsewhere.opened].map(async (pool) => pool.close()));
    this.#deadLetters.close();
    this.#redis.disconnect();
  }

  /** What there is to say about the credentials of workers, by scope. */
  async #identities(): Promise<Readonly<Record<string, string>>> {
    const { pools, namespace } = this.#settings;
    const lines = await Promise.all(
      Object.keys(pools.scopes).map(async (scope) => {
        const identities = await readIdentities(this.#redis, keySpace(namespace, scope));
        return [scope, describeIdentities(identities)?.line] as const;
      }),
    );
    return Object.fromEntries(lines.flatMap(([scope, line]) => (line === undefined ? [] : [[scope, line]])));
  }

  /** The pool of a job that was found. */
  #poolOf(id: string): ApiPool {
    const parts = parseJobId(id);
    const own = this.#pools.get(parts?.pool ?? "");
    const lane = parts?.lane ?? "";
    const pool = own?.lanes.includes(lane) === true ? own : this.#elsewhere.known(parts?.pool ?? "", lane);
    if (pool === undefined) throw new Error(`Job ${id} belongs to no pool`);
    return pool;
  }
}

function scopeOf({ scopes }: Pools, pool: Pool): Scope {
  const scope = scopes[pool.scope];
  if (scope === undefined) throw new Error(`Pool '${pool.name}' names no known scope`);
  return scope;
}
