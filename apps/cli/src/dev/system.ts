/** The whole system on this machine: services on loopback, the table, API, board and workers. */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readPools, type Pools } from "@sluice/config";
import { ensureTable } from "@sluice/dead-letter";
import { startServices, type Services } from "@sluice/services";
import { assertRedis } from "../installation.ts";
import { startProgram, type Program } from "./program.ts";

export interface SystemOptions {
  /** Where data and logs go. */
  readonly dataDir: string;
  readonly redisUrl: string | undefined;
  readonly workers: number;
  readonly pool: string;
  readonly model: string;
  readonly lanes: readonly string[];
  readonly tokensPerMinute: number;
  readonly burndown: number;
  /** Calls in flight, for the whole fleet. */
  readonly slots: number;
  readonly onProgress: (line: string) => void;
}

export interface System {
  readonly apiUrl: string;
  readonly boardUrl: string;
  readonly redisUrl: string;
  readonly dynamoDbUrl: string;
  readonly simulatorUrl: string;
  /** The file of all its programs. */
  readonly pools: Pools;
  readonly namespace: string;
  readonly table: string;
  readonly workers: readonly Program[];
  /** Rejects when a part that the system cannot do without has ended by itself. */
  readonly broken: Promise<never>;
  stop(): Promise<void>;
}

const SCOPE = "local";
const TABLE = "sluice-dead-letters";
const STOP_GRACE_MS = 15_000;

/** Short, so that jobs of a killed worker are back within seconds; the calls here take seconds too. */
const DEV_LOCKS = {
  SLUICE_LOCK_IN_HAND_MS: "5000",
  SLUICE_LOCK_CALL_MS: "10000",
  SLUICE_STALLED_INTERVAL_MS: "2000",
  SLUICE_HEARTBEAT_TTL_MS: "6000",
  SLUICE_SHUTDOWN_GRACE_MS: "8000",
};

/** @throws Error of the part that could not be started; what was started by then is stopped. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { dataDir, redisUrl, model, tokensPerMinute, burndown, onProgress } = options;
  // One that was started here is fit.
  if (redisUrl !== undefined) await assertRedis(redisUrl);
  onProgress(
    `Starting ${redisUrl === undefined ? "Redis, " : ""}DynamoDB and a Bedrock simulator on loopback`,
  );
  const services = await startServices({
    dataDir,
    redisUrl,
    onProgress,
    simulator: {
      models: { [model]: { tokensPerMinute, requestsPerMinute: null, burndown, window: "bucket" } },
    },
  });
  const programs: Program[] = [];
  try {
    return await startPrograms(options, services, programs);
  } catch (error) {
    await Promise.all(programs.map(async (program) => program.stop(STOP_GRACE_MS)));
    await services.stop();
    throw error;
  }
}

async function startPrograms(
  options: SystemOptions,
  services: Services,
  programs: Program[],
): Promise<System> {
  const { workers, onProgress, pool } = options;
  const { runFolder } = services;
  // A name of its own: nothing of an earlier run in a given Redis is met, or left in the way of the next.
  const namespace = `dev-${randomBytes(4).toString("hex")}`;
  const dynamoDb = {
    endpoint: services.dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: TABLE, ...dynamoDb });
  await mkdir(runFolder, { recursive: true, mode: 0o700 });
  const poolsFile = join(runFolder, "pools.yaml");
  await writeFile(poolsFile, poolsYaml(options), { mode: 0o600 });

  const env = {
    SLUICE_POOLS: poolsFile,
    SLUICE_NAMESPACE: namespace,
    SLUICE_DEAD_LETTER_TABLE: TABLE,
    REDIS_URL: services.redisUrl,
    AWS_ENDPOINT_URL_BEDROCK_RUNTIME: services.simulatorUrl,
    AWS_ENDPOINT_URL_DYNAMODB: services.dynamoDbUrl,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    PORT: "0",
    ...DEV_LOCKS,
  };
  onProgress("Starting API, board and workers");
  const start = async (app: "api" | "board" | "worker", name: string): Promise<Program> => {
    const program = await startProgram(app, name, runFolder, env);
    programs.push(program);
    return program;
  };
  const [api, board, ...fleet] = await Promise.all([
    start("api", "api"),
    start("board", "board"),
    ...Array.from({ length: workers }, async (_, index) => start("worker", `worker-${index + 1}`)),
  ]);
  let stopping = false;
  return {
    apiUrl: api.url ?? "",
    boardUrl: board.url ?? "",
    redisUrl: services.redisUrl,
    dynamoDbUrl: services.dynamoDbUrl,
    simulatorUrl: services.simulatorUrl,
    pools: await readPools(poolsFile),
    namespace,
    table: TABLE,
    workers: fleet,
    broken: Promise.race([
      api.ended.then(() => "The API has"),
      board.ended.then(() => "The board has"),
      Promise.all(fleet.map(async (worker) => worker.ended)).then(() => `All workers of pool '${pool}' have`),
    ]).then(async (what) => {
      if (stopping) return new Promise<never>(() => {});
      throw new Error(`${what} ended by itself. See the logs in ${runFolder}`);
    }),
    async stop() {
      stopping = true;
      await Promise.all(programs.map(async (program) => program.stop(STOP_GRACE_MS)));
      await services.stop();
    },
  };
}

/** JSON is YAML. */
function poolsYaml({ pool, model, lanes, tokensPerMinute, burndown, slots, workers }: SystemOptions): string {
  const perWorker = Math.max(lanes.length, Math.ceil(slots / workers));
  return JSON.stringify(
    {
      scopes: { [SCOPE]: { region: "us-east-1" } },
      pools: {
        [pool]: { scope: SCOPE, model, quota: { tokensPerMinute }, burndown, lanes, slots: perWorker },
      },
    },
    undefined,
    2,
  );
}
