/** Wires the API to Redis, the pools and the dead letter store. */
import type { Server } from "node:http";
import type { Pools } from "@sluice/config";
import type { DynamoDbStore } from "@sluice/dead-letter";
import { createAccept, createCancel, createExplain, createFind, describe } from "@sluice/drain";
import { Installation, type OpenPool } from "@sluice/installation";
import { openLetters } from "@sluice/installation/letters";
import { emitter, parseJobId, type Emit, type Listener } from "@sluice/job";
import { decodePayload, encodePayload } from "@sluice/job/payload";
import { CapacityGuard } from "@sluice/queue";
import { closeServer, hostCheck, httpServer, listen, Standing } from "@sluice/process";
import { describeIdentities } from "@sluice/results";
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
  readonly #installation: Installation;
  readonly #pools: ReadonlyMap<string, ApiPool>;
  readonly #elsewhere: Elsewhere;
  readonly #letters: DynamoDbStore;
  readonly #standing: Standing;
  readonly #streams: OpenStreams;
  readonly #server: Server;

  constructor(settings: ApiSettings) {
    this.#settings = settings;
    const emit = emitter(settings.listeners);
    this.#emit = emit;
    const onError = (error: unknown): void => emit("worker:error", { part: "api", error: describe(error) });
    const installation = new Installation({ ...settings, profile: "producer", onError });
    this.#installation = installation;
    const { redis, redisClock, clock } = installation;
    const guard = new CapacityGuard(redis);
    this.#streams = new OpenStreams(settings.streams ?? STREAM_BOUNDS);
    const wire = (open: OpenPool): ApiPool =>
      createApiPool({ open, guard, gateOf: (name) => this.#pools.get(name)?.gate, onError });
    const pools = new Map([...installation.pools].map(([name, open]) => [name, wire(open)]));
    this.#pools = pools;
    this.#elsewhere = new Elsewhere(installation, wire);
    this.#letters = openLetters({ table: settings.deadLetterTable, clock });
    this.#standing = new Standing({
      redis,
      clock: redisClock,
      keySpaces: installation.keySpaces,
      needs: [
        {
          name: `dead letter table '${settings.deadLetterTable}'`,
          check: async () => this.#letters.check(),
        },
      ],
      emit,
      onUnfit: settings.onUnfit,
    });
    const elsewhere = async (pool: string, lane: string): Promise<ApiPool | undefined> =>
      this.#elsewhere.find(pool, lane);
    const find = createFind({ pools, elsewhere, deadLetters: this.#letters });
    const accept = createAccept({
      pools,
      encodePayload,
      unsafe: () => this.#standing.unsafe,
      emit,
      clock,
    });
    const app = createApp({
      accept: async (...submitted) => {
        // A job of the first moment must not get the machine's time.
        await redisClock.known();
        return accept(...submitted);
      },
      find,
      cancel: createCancel({ pools, elsewhere, find, clock }),
      explain: createExplain({ pools, elsewhere, find, deadLetters: this.#letters, decodePayload }),
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
    await this.#installation.close();
    this.#letters.close();
  }

  /** What there is to say about the credentials of workers, by scope. */
  async #identities(): Promise<Readonly<Record<string, string>>> {
    const lines = await Promise.all(
      [...this.#installation.scopes].map(async ([name, scope]) => {
        return [name, describeIdentities(await scope.identities())?.line] as const;
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
