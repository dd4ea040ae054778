/** Wires the API to Redis, the pools and the dead letter store. */
import type { Server } from "node:http";
import { reservation } from "@sluice/bedrock/estimate";
import type { Pool, Pools } from "@sluice/config";
import { createDynamoDbStore } from "@sluice/dead-letter";
import { createAccept, createFind, describe, type AcceptingPool, type ReadingPool } from "@sluice/drain";
import { emitter, type Listener } from "@sluice/job";
import { misfit, type Quota } from "@sluice/limits";
import { CapacityGuard, encodePayload, LaneQueue } from "@sluice/queue";
import { closeServer, httpServer, listen } from "@sluice/process";
import { connect, keySpace } from "@sluice/redis";
import { ClaimStore, OutcomeStore } from "@sluice/results";
import { createApp } from "./app.ts";

export interface ApiSettings {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redisUrl: string;
  readonly deadLetterTable: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly listeners: readonly Listener[];
}

export class Api {
  readonly #settings: ApiSettings;
  readonly #redis;
  readonly #lanes: LaneQueue[] = [];
  readonly #server: Server;

  constructor(settings: ApiSettings) {
    this.#settings = settings;
    const emit = emitter(settings.listeners);
    const onError = (error: unknown): void => emit("worker:error", { part: "api", error: describe(error) });
    const redis = connect(settings.redisUrl, "producer", onError);
    this.#redis = redis;
    const guard = new CapacityGuard(redis);
    const pools = new Map(
      Object.values(settings.pools.pools).map((pool) => [pool.name, this.#wirePool(pool, guard, onError)]),
    );
    const app = createApp({
      accept: createAccept({ pools, encodePayload, emit, clock: Date.now, random: Math.random }),
      find: createFind({ pools, deadLetters: createDynamoDbStore({ tableName: settings.deadLetterTable }) }),
      ping: async () => {
        await redis.ping();
      },
      onError,
    });
    this.#server = httpServer(app);
  }

  /** Listens. Resolves to the URL. */
  async start(): Promise<string> {
    const { host, port } = this.#settings;
    return listen(this.#server, host, port);
  }

  /** Answers what was asked, then closes. */
  async stop(): Promise<void> {
    await closeServer(this.#server);
    await Promise.all(this.#lanes.map(async (lane) => lane.close()));
    this.#redis.disconnect();
  }

  #wirePool(
    pool: Pool,
    guard: CapacityGuard,
    onError: (error: unknown) => void,
  ): AcceptingPool & ReadingPool {
    const { namespace, pools } = this.#settings;
    const redis = this.#redis;
    const space = keySpace(namespace, pools.scopes[pool.scope]?.name ?? pool.scope);
    const lanes = new Map(
      pool.lanes.map((name) => {
        const queue = new LaneQueue({ redis, keySpace: space, pool: pool.name, lane: name, onError });
        this.#lanes.push(queue);
        return [name, queue];
      }),
    );
    const laneOf = (name: string): LaneQueue => {
      const queue = lanes.get(name);
      if (queue === undefined) throw new Error(`Pool '${pool.name}' has no lane '${name}'`);
      return queue;
    };
    return {
      lanes: pool.lanes,
      maxOutputTokens: pool.maxOutputTokens,
      defaultMaxTokens: pool.defaultMaxTokens,
      deadlineMs: pool.deadlineMs,
      maxAttempts: pool.maxAttempts,
      cacheMs: pool.cacheMs,
      reserve: (work) => ({
        requests: 1,
        tokens: work.kind === "converse" || work.kind === "stream" ? reservation(work.request).tokens : 0,
      }),
      tooCostly: (cost) => misfit({ quota: quotaOf(pool) }, cost),
      claims: new ClaimStore(redis, space),
      outcomes: new OutcomeStore(redis, space),
      capacity: async (lane) => guard.check(laneOf(lane), pool.maxWaiting),
      lane: laneOf,
    };
  }
}

function quotaOf({ quota: { tokensPerMinute, requestsPerMinute } }: Pool): Quota {
  return { tokensPerMinute, ...(requestsPerMinute === null ? {} : { requestsPerMinute }) };
}
