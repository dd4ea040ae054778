/** A board over a key space of its own, with a job in every state. */
import { randomBytes } from "node:crypto";
import { parsePools } from "@sluice/config";
import { newJobId, queueName, type JobData } from "@sluice/job";
import { encodePayload, LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { UnrecoverableError, Worker } from "bullmq";
import { Board } from "../src/board.ts";

/** In every prompt: the board must show it nowhere. */
export const MARKER = "Kurpfalz-Zuckerwatte-4711";

const SCOPE = "lab";
const POOLS = {
  scopes: { [SCOPE]: { region: "us-east-1" } },
  pools: {
    claude: {
      scope: SCOPE,
      model: "us.anthropic.claude-sonnet-4-6-v1:0",
      quota: { tokensPerMinute: 1_000_000 },
    },
    nova: {
      scope: SCOPE,
      model: "us.amazon.nova-pro-v1:0",
      quota: { tokensPerMinute: 1_000_000 },
      lanes: ["live", "batch"],
    },
  },
};

/** All lanes as the board names them. */
export const QUEUES = [
  "claude.critical",
  "claude.standard",
  "claude.bulk",
  "nova.live",
  "nova.batch",
] as const;

/** The lane that holds jobs. */
export const FULL = "claude.standard";

/** The error of the failed job. */
export const FAILED_REASON = "ValidationException: The input is too long";

export async function startBoard(redisUrl: string) {
  const name = `board-test-${randomBytes(4).toString("hex")}`;
  const space = keySpace(name, SCOPE);
  const redis = connect(redisUrl, "worker", () => {});
  const errors: unknown[] = [];
  const board = new Board({
    pools: parsePools(JSON.stringify(POOLS), "pools.yaml"),
    namespace: name,
    redisUrl,
    host: "127.0.0.1",
    port: 0,
    onError: (error) => errors.push(error),
  });
  const url = await board.start();
  const lane = new LaneQueue({ redis, keySpace: space, pool: "claude", lane: "standard", onError: () => {} });
  const worker = new Worker(queueName("claude", "standard"), null, {
    connection: redis,
    prefix: space,
    autorun: false,
  });

  async function add(text: string): Promise<JobData> {
    const now = Date.now();
    const job: JobData = {
      version: 1,
      id: newJobId("claude", "standard", now, Math.random),
      tenant: "acme",
      pool: "claude",
      lane: "standard",
      kind: "converse",
      payload: await encodePayload({ messages: [{ role: "user", content: [{ text }] }], maxTokens: 10 }),
      acceptedAt: now,
      deadlineAt: now + 60_000,
      maxAttempts: 3,
    };
    await lane.add(job);
    return job;
  }

  async function fetchNext() {
    const job = await worker.getNextJob("token");
    if (job === undefined) throw new Error("Expected a job to be waiting");
    return job;
  }

  // Short ones are stored as JSON, long ones compressed.
  const failed = await add(MARKER);
  await (await fetchNext()).moveToFailed(new UnrecoverableError(FAILED_REASON), "token", false);
  const completed = await add(`${MARKER} ${"text ".repeat(2_000)}`);
  await (await fetchNext()).moveToCompleted({ outcome: "completed", outputTokens: 5 }, "token", false);
  const delayed = await add(MARKER);
  await (await fetchNext()).moveToDelayed(Date.now() + 60_000, "token");
  const active = await add(MARKER);
  await fetchNext();
  const waiting = await add(MARKER);
  const long = await add(`${MARKER} ${"text ".repeat(2_000)}`);

  return {
    url,
    redis,
    errors,
    jobs: { failed, completed, delayed, active, waiting, long },
    /** Every key of the key space with its content. */
    async everythingInRedis(): Promise<Record<string, string>> {
      const keys = (await redis.keys(`${name}:*`)).toSorted();
      const contents = await Promise.all(keys.map(async (key) => redis.dumpBuffer(key)));
      return Object.fromEntries(keys.map((key, index) => [key, contents[index]?.toString("base64") ?? ""]));
    },
    async [Symbol.asyncDispose]() {
      await board.stop();
      await worker.close(true);
      await lane.close();
      const keys = await redis.keys(`${name}:*`);
      if (keys.length > 0) await redis.del(keys);
      redis.disconnect();
    },
  };
}
