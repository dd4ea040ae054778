/**
 * A Sluice of one's own for one run: a key space and a table that nobody else has, real worker and API processes
 * with short locks, and everything it records about its jobs.
 */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDynamoDbStore, ensureTable, type DynamoDbStore } from "@sluice/dead-letter";
import { createRedisLimiter, type OperableLimiter } from "@sluice/limits";
import { connect, keySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { PoolsFile } from "./pools-file.ts";
import { startProcess, type Started } from "./process.ts";
import { Records } from "./records.ts";

export interface InstallationOptions {
  readonly pools: PoolsFile;
  readonly redisUrl: string;
  readonly dynamoDbUrl: string;
  readonly simulatorUrl: string;
  /** Where the pools file goes. */
  readonly folder: string;
  /**
   * `short`: a killed worker's jobs are back within a second or two, for tests that kill. `shipped`: as the worker
   * has them by itself. Default `short`.
   */
  readonly locks?: "short" | "shipped";
}

export interface Installation extends AsyncDisposable {
  readonly records: Records;
  /** What every program of it finds in its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly workers: readonly Started[];
  /**
   * @param env overrides what every worker gets: locks, the pools file, or the address of a service, to lead through a proxy.
   * @param program another entry than that of this version's worker.
   */
  startWorker(env?: Readonly<Record<string, string>>, program?: URL): Promise<Started>;
  /** Resolves to the API's URL. */
  startApi(): Promise<string>;
  /** Starts any program of it, which may have ended by then. @param env overrides what every program gets. */
  start(program: URL, env?: Readonly<Record<string, string>>): Promise<Started>;
  /** The limiter of a pool's scope, as an operator has it. */
  limiter(pool: string): OperableLimiter;
  /** Calls that our workers say they started, by job. Only of workers that lived to flush their logs. */
  granted(): ReadonlyMap<string, number>;
  /** Asks everything to leave; resolves when it has. Called by `asyncDispose` too, which kills what stays. */
  stop(): Promise<void>;
}

const LOCKS = {
  short: {
    SLUICE_LOCK_IN_HAND_MS: "500",
    SLUICE_LOCK_CALL_MS: "1000",
    SLUICE_STALLED_INTERVAL_MS: "200",
    SLUICE_HEARTBEAT_TTL_MS: "1000",
  },
  shipped: {},
} as const;

const WORKER = new URL("../../apps/worker/src/main.ts", import.meta.url);
const API = new URL("../../apps/api/src/main.ts", import.meta.url);

const STOP_TIMEOUT_MS = 20_000;

export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { pools, redisUrl, dynamoDbUrl, simulatorUrl, folder, locks = "short" } = options;
  const namespace = `chaos-${randomBytes(4).toString("hex")}`;
  const poolsFile = join(folder, `${namespace}.json`);
  await writeFile(poolsFile, JSON.stringify(pools));
  const dynamoDb = {
    endpoint: dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: namespace, ...dynamoDb });
  const letters: DynamoDbStore = createDynamoDbStore({ tableName: namespace, ...dynamoDb });
  const redis: Redis = connect(redisUrl, "worker", () => {});
  const records = new Records({ pools, namespace, redis, letters });

  const env = {
    SLUICE_POOLS: poolsFile,
    SLUICE_NAMESPACE: namespace,
    SLUICE_DEAD_LETTER_TABLE: namespace,
    REDIS_URL: redisUrl,
    AWS_ENDPOINT_URL_BEDROCK_RUNTIME: simulatorUrl,
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDbUrl,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    // `job:granted` is our own count of calls.
    LOG_LEVEL: "debug",
    SLUICE_SHUTDOWN_GRACE_MS: "5000",
    ...LOCKS[locks],
  };
  const workers: Started[] = [];
  const others: Started[] = [];
  const all = (): Started[] => [...workers, ...others].filter(({ running }) => running);

  const stop = async (): Promise<void> => {
    for (const program of all()) {
      // A stopped process would not hear that it shall end.
      program.kill("SIGCONT");
      program.kill("SIGTERM");
    }
    const timer = setTimeout(() => all().forEach((program) => program.kill("SIGKILL")), STOP_TIMEOUT_MS);
    await Promise.all([...workers, ...others].map(async ({ exit }) => exit));
    clearTimeout(timer);
  };

  const start = async (program: URL, overrides: Readonly<Record<string, string>> = {}): Promise<Started> => {
    const started = await startProcess(program, { ...env, ...overrides });
    others.push(started);
    return started;
  };

  return {
    records,
    env,
    workers,
    start,
    async startWorker(overrides = {}, program = WORKER) {
      const worker = await startProcess(program, { ...env, ...overrides });
      workers.push(worker);
      if (!worker.running) throw new Error(`The worker ended before it was ready:\n${worker.text}`);
      return worker;
    },
    async startApi() {
      const api = await start(API, { PORT: "0" });
      if (api.url === undefined) throw new Error(`The API ended before it was ready:\n${api.text}`);
      return api.url;
    },
    limiter(pool) {
      return createRedisLimiter({ redis, keySpace: keySpace(namespace, pools.pools[pool]?.scope ?? "") });
    },
    granted: () => countGranted(workers),
    stop,
    async [Symbol.asyncDispose]() {
      for (const program of all()) program.kill("SIGKILL");
      await Promise.all([...workers, ...others].map(async ({ exit }) => exit));
      await records.close();
      await removeKeys(redis, namespace);
      redis.disconnect();
      letters.close();
    },
  };
}

function countGranted(workers: readonly Started[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of workers.flatMap(({ lines }) => lines)) {
    if (line.msg !== "job:granted") continue;
    const id = String(line["id"]);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Nobody else uses this namespace, and a given Redis shall be left as it was found. */
async function removeKeys(redis: Redis, namespace: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 1_000 })) {
    if (Array.isArray(keys) && keys.length > 0) await redis.unlink(keys.map(String));
  }
}
