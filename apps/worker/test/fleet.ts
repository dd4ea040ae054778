/**
 * Worker processes with a key space, a table and a simulator of their own, and everything a test asks about their
 * jobs: from Redis, from the dead letter table, from the simulator's evidence and from the workers' logs.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDynamoDbStore, ensureTable, type DynamoDbStore } from "@sluice/dead-letter";
import { newJobId, type JobKind, type Outcome } from "@sluice/job";
import { createRedisLimiter } from "@sluice/limits";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { CancelFlags, ChunkStream, OutcomeStore, readIdentities } from "@sluice/results";
import { startSimulator } from "@sluice/services";
import { z } from "zod";
import { startProcess, type Started } from "@sluice/chaos";

/** In every prompt, so that a log with text of a prompt in it is found out. */
export const MARKER = "Kurpfalz-Zuckerwatte-4711";

/** For `vi.waitFor`: short steps, and long enough for a busy machine. */
export const PATIENTLY = { timeout: 45_000, interval: 50 } as const;

const POOL = "test";
const MODEL = "test.model";
const SCOPE = "lab";

/** Answers to `async` only. */
export const ASYNC_MODEL = "test.async";
const MAIN = new URL("../src/main.ts", import.meta.url);

/** Short, so that jobs of a killed worker are back within a second or two. */
const LOCKS = {
  SLUICE_LOCK_IN_HAND_MS: "500",
  SLUICE_LOCK_CALL_MS: "1000",
  SLUICE_STALLED_INTERVAL_MS: "200",
  SLUICE_HEARTBEAT_TTL_MS: "1000",
};

/** An async call carries no metadata: its token is its job's id. */
const metadataSchema = z.union([
  z.object({ jobId: z.string() }).transform(({ jobId }) => jobId),
  z.object({ clientRequestToken: z.string() }).transform(({ clientRequestToken }) => clientRequestToken),
]);

const callsSchema = z.object({
  calls: z.array(
    z
      .object({
        operation: z.string(),
        model: z.string(),
        outcome: z.string(),
        startedAt: z.number(),
        endedAt: z.number(),
        requestMetadata: metadataSchema,
      })
      .transform(({ requestMetadata: job, ...call }) => ({ job, ...call })),
  ),
});

export interface FleetOptions {
  readonly redisUrl: string;
  readonly dynamoDbUrl: string;
  /** Default: the one lane `standard`. */
  readonly lanes?: readonly string[];
  /** Calls in flight per worker. Default 4. */
  readonly slots?: number;
  /** Default: more than any test uses. */
  readonly tokensPerMinute?: number;
  /** How long each call takes, milliseconds. */
  readonly latencyMs: number;
  /** Further keys of the pool `test`. */
  readonly poolKeys?: Readonly<Record<string, unknown>>;
  /** Further keys of the scope. */
  readonly scopeKeys?: Readonly<Record<string, unknown>>;
  /** Further scopes as the pools file has them. */
  readonly otherScopes?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Further pools as the pools file has them, but for scope, quota and burndown. Their models answer as `test.model`. */
  readonly otherPools?: Readonly<Record<string, Readonly<Record<string, unknown> & { model: string }>>>;
}

export interface JobInput {
  /** Default: `test`. */
  readonly pool?: string;
  readonly lane?: string;
  /** Default: an answer is written. A spelling of the simulator's, e.g. `ValidationException`. */
  readonly fault?: string;
  readonly maxTokens?: number;
  /** Default `converse`. */
  readonly kind?: JobKind;
  /** Default: a conversation that no other job has. */
  readonly request?: unknown;
  readonly tenant?: string;
  /** Default: the answer is nobody else's. */
  readonly cacheMs?: number;
  readonly delayMs?: number;
  /** From now on. Default two minutes. */
  readonly deadlineMs?: number;
}

export type Fleet = Awaited<ReturnType<typeof startFleet>>;

/** Everything but the workers. */
export async function startFleet(options: FleetOptions) {
  const { redisUrl, dynamoDbUrl, latencyMs, lanes = ["standard"], slots = 4 } = options;
  const {
    tokensPerMinute = 60_000_000,
    poolKeys = {},
    scopeKeys = {},
    otherPools = {},
    otherScopes = {},
  } = options;
  const name = `worker-test-${randomBytes(4).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const model = {
    // The workers' own limiter is what is looked at here.
    tokensPerMinute: tokensPerMinute * 10,
    burndown: 1,
    latency: { timeToFirstTokenMs: latencyMs, tokensPerSecond: 100_000, sigma: 0 },
    answer: { medianTokens: 20, sigma: 0 },
  };
  const simulator = await startSimulator({
    dataDir: folder,
    models: { "*": model, [ASYNC_MODEL]: { kind: "async", latency: model.latency } },
  });
  const dynamoDb = {
    endpoint: dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: name, ...dynamoDb });
  const poolsFile = join(folder, "pools.yaml");
  const common = { scope: SCOPE, quota: { tokensPerMinute }, burndown: 1, lanes, slots };
  const pools = {
    [POOL]: { ...common, model: MODEL, ...poolKeys },
    ...Object.fromEntries(Object.entries(otherPools).map(([pool, keys]) => [pool, { ...common, ...keys }])),
  };
  await writeFile(
    poolsFile,
    JSON.stringify({
      scopes: { [SCOPE]: { region: "us-east-1", ...scopeKeys }, ...otherScopes },
      pools,
    }),
  );

  const redis = connect(redisUrl, "worker", () => {});
  const space = keySpace(name, SCOPE);
  const openQueues = (pool: string): LaneQueue[] =>
    lanes.map(
      (lane) => new LaneQueue({ redis, keySpace: space, pool, lane, clock: Date.now, onError: () => {} }),
    );
  const queues = openQueues(POOL);
  const allQueues = new Map([
    [POOL, queues],
    ...Object.keys(otherPools).map((pool) => [pool, openQueues(pool)] as const),
  ]);
  const outcomes = new OutcomeStore(redis, space);
  const deadLetters: DynamoDbStore = createDynamoDbStore({ tableName: name, ...dynamoDb });
  const workers: Started[] = [];

  async function startWorker(program: URL = MAIN, env: Record<string, string> = {}): Promise<Started> {
    const worker = await startProcess(program, {
      SLUICE_POOLS: poolsFile,
      SLUICE_NAMESPACE: name,
      SLUICE_DEAD_LETTER_TABLE: name,
      REDIS_URL: redisUrl,
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: simulator.url,
      AWS_ENDPOINT_URL_DYNAMODB: dynamoDbUrl,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      LOG_LEVEL: "trace",
      ...LOCKS,
      ...env,
    });
    workers.push(worker);
    return worker;
  }

  /** Adds the jobs as an API would. Resolves to their ids. */
  async function submit(jobs: readonly JobInput[]): Promise<string[]> {
    const ids: string[] = [];
    for (const {
      lane = lanes[0] ?? "",
      fault,
      maxTokens = 50,
      cacheMs,
      delayMs,
      deadlineMs = 120_000,
      ...input
    } of jobs) {
      const now = Date.now();
      const { pool = POOL } = input;
      const id = newJobId(pool, lane, now);
      const marker = fault === undefined ? "" : `[[sim:${fault}]] `;
      const text = `${marker}${MARKER} ${id}`;
      const request = { messages: [{ role: "user", content: [{ text }] }], maxTokens };
      const { tenant = "default", kind = "converse" } = input;
      const job = {
        ...({ version: 1, id, tenant, pool, lane, kind } as const),
        payload: await encodePayload(input.request ?? request),
        acceptedAt: now,
        deadlineAt: now + deadlineMs,
        maxAttempts: 5,
        ...(cacheMs === undefined ? {} : { cacheMs }),
      };
      await allQueues.get(pool)?.[lanes.indexOf(lane)]?.add(job, delayMs);
      ids.push(id);
    }
    return ids;
  }

  /** Jobs of all lanes by state. */
  async function counts() {
    const sum = { waiting: 0, delayed: 0, active: 0, failed: 0 };
    for (const queue of queues) {
      const { waiting, delayed, active, failed } = await queue.counts();
      sum.waiting += waiting;
      sum.delayed += delayed;
      sum.active += active;
      sum.failed += failed;
    }
    return sum;
  }

  /** How the jobs ended, in the order of `ids`; `undefined` for one that has not. */
  async function ends(ids: readonly string[]): Promise<(Outcome["outcome"] | undefined)[]> {
    return Promise.all(ids.map(async (id) => (await outcomes.get(id))?.outcome));
  }

  /** The calls that the simulator has seen the end of, in the order of their ends. */
  async function calls() {
    const response = await fetch(`${simulator.url}/_sim/calls?limit=10000`);
    return callsSchema.parse(await response.json()).calls;
  }

  /** How many of them there are, by job. */
  async function callsByJob(outcome?: string): Promise<Map<string, number>> {
    const byJob = new Map<string, number>();
    for (const call of await calls()) {
      if (outcome !== undefined && call.outcome !== outcome) continue;
      byJob.set(call.job, (byJob.get(call.job) ?? 0) + 1);
    }
    return byJob;
  }

  return {
    simulatorUrl: simulator.url,
    deadLetters,
    startWorker,
    submit,
    counts,
    ends,
    outcome: async (id: string) => outcomes.get(id),
    putOutcome: async (outcome: Outcome) => outcomes.put(outcome),
    calls,
    callsByJob,
    redis,
    keySpace: space,
    /** As an operator and callers in other processes have them. */
    limiter: createRedisLimiter({ redis, keySpace: space }),
    cancels: new CancelFlags(redis, space),
    chunks: new ChunkStream(redis, space),
    identities: async () => readIdentities(redis, space),
    /** Where this fleet keeps its files. */
    folder,
    /** Everything that every worker has logged. */
    log: () => workers.map(({ text }) => text).join(""),
    async [Symbol.asyncDispose]() {
      for (const worker of workers) if (worker.running) worker.kill("SIGKILL");
      await Promise.all(workers.map(async ({ exit }) => exit));
      await Promise.all([...allQueues.values()].flat().map(async (queue) => queue.close()));
      const keys = await redis.keys(`${name}:*`);
      if (keys.length > 0) await redis.del(keys);
      redis.disconnect();
      deadLetters.close();
      await simulator.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
