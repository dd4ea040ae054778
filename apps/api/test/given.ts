/** An API on a key space and a table of its own, and the ways to look behind it. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import { createDynamoDbStore, ensureTable } from "@sluice/dead-letter";
import { parsePools } from "@sluice/config";
import { newJobId, type JobData } from "@sluice/job";
import { createRedisLimiter, lanesNamed } from "@sluice/limits";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { ChunkStream, OutcomeStore } from "@sluice/results";
import { vi } from "vitest";
import { Api, type ApiSettings } from "../src/api.ts";

const SCOPE = "lab";
const LANES = ["critical", "bulk"];

/**
 * `claude` can write 8,192 tokens; `small` has a quota of 2,000 tokens a minute, `slow` of one request; a worker has two
 * slots for `narrow`, whose jobs `claude` may answer.
 */
export const POOLS = {
  scopes: { [SCOPE]: { region: "us-east-1" } },
  pools: {
    claude: {
      scope: SCOPE,
      model: "us.anthropic.claude-3-5-sonnet-v2:0",
      quota: { tokensPerMinute: 1_000_000 },
      lanes: LANES,
    },
    small: {
      scope: SCOPE,
      model: "us.amazon.nova-pro-v1:0",
      quota: { tokensPerMinute: 2_000 },
      lanes: LANES,
    },
    slow: {
      scope: SCOPE,
      model: "us.amazon.nova-lite-v1:0",
      quota: { tokensPerMinute: 1_100, requestsPerMinute: 1 },
      lanes: LANES,
    },
    narrow: {
      scope: SCOPE,
      model: "us.amazon.nova-micro-v1:0",
      quota: { tokensPerMinute: 1_000_000 },
      lanes: LANES,
      slots: 2,
      fallback: ["claude"],
    },
  },
};

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Starts it; nothing is asked of Redis before the first request. */
export async function startApi({
  redisUrl,
  dynamoDbUrl,
  ...settings
}: { redisUrl: string; dynamoDbUrl: string } & Partial<
  Pick<ApiSettings, "allowedHosts" | "streams" | "pools">
>) {
  const name = `api-test-${randomBytes(4).toString("hex")}`;
  // As the program finds them.
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", dynamoDbUrl);
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "local");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "local");
  await ensureTable({ tableName: name });
  const api = new Api({
    pools: parsePools(JSON.stringify(POOLS), "pools.yaml"),
    namespace: name,
    redisUrl,
    deadLetterTable: name,
    host: "127.0.0.1",
    port: 0,
    listeners: [],
    ...settings,
  });
  const url = await api.start();
  const space = keySpace(name, SCOPE);
  const redis = connect(redisUrl, "worker", () => {});
  const lane = new LaneQueue({
    redis,
    keySpace: space,
    pool: "claude",
    lane: "critical",
    clock: Date.now,
    onError: () => {},
  });
  const outcomes = new OutcomeStore(redis, space);
  const chunks = new ChunkStream(redis, space);
  const deadLetters = createDynamoDbStore({ tableName: name });

  async function request(path: string, init?: RequestInit): Promise<Reply> {
    const { status, headers, ...rest } = await read(await fetch(`${url}${path}`, init));
    return { status, headers, ...rest };
  }

  return {
    name,
    url,
    redis,
    keySpace: space,
    limiter: createRedisLimiter({ redis, keySpace: space }),
    lane,
    outcomes,
    chunks,
    deadLetters,
    get: async (path: string) => request(path),
    /** As a worker's start does. */
    configure: async () =>
      createRedisLimiter({ redis, keySpace: space }).configure("claude", {
        quota: { tokensPerMinute: 1_000_000 },
        lanes: lanesNamed(LANES),
      }),
    /** Workers by these names live, and no others. */
    async beat(...owners: string[]): Promise<void> {
      const key = `${space}:heartbeat:owners`;
      await redis.del(key);
      for (const owner of owners) await redis.zadd(key, Date.now() + 30_000, owner);
    },
    async loseIdentity(owner: string): Promise<void> {
      const lost = { errorClass: "ExpiredTokenException", since: Date.now() };
      await redis.set(`${space}:identity:${owner}`, JSON.stringify(lost), "PX", 30_000);
    },
    /** Sends a body as it is, or anything else as JSON. */
    post: async (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
      request("/v1/jobs", {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    /** Every key of the key space with its content, but for what BullMQ and the watch note about queue and Redis. */
    async everythingInRedis(): Promise<Record<string, string>> {
      const keys = (await redis.keys(`${name}:*`)).filter((key) => !/:(?:meta|mark)$/.test(key)).toSorted();
      const contents = await Promise.all(keys.map(async (key) => redis.dumpBuffer(key)));
      return Object.fromEntries(keys.map((key, index) => [key, contents[index]?.toString("base64") ?? ""]));
    },
    async [Symbol.asyncDispose]() {
      await api.stop();
      await lane.close();
      const keys = await redis.keys(`${name}:*`);
      if (keys.length > 0) await redis.del(keys);
      redis.disconnect();
      deadLetters.close();
      vi.unstubAllEnvs();
    },
  };
}

/** What `fetch` would not send. */
export interface RawRequest {
  readonly path: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

export async function rawRequest(url: string, { path, method = "GET", headers = {}, body = "" }: RawRequest) {
  const request = httpRequest(`${url}${path}`, { method, headers });
  request.end(body);
  const [response] = await once(request, "response");
  const answered: unknown = JSON.parse(await text(response));
  return { status: Number(response.statusCode), headers: response.headers, body: answered };
}

async function read(response: Response): Promise<Reply> {
  const body: unknown = await response.json();
  return { status: response.status, headers: response.headers, body };
}

/** The data of a job in the critical lane of `claude`. */
export async function jobData(tenant = "default"): Promise<JobData> {
  const now = Date.now();
  return {
    version: 1,
    id: newJobId("claude", "critical", now),
    tenant,
    pool: "claude",
    lane: "critical",
    kind: "converse",
    payload: await encodePayload({ messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 10 }),
    acceptedAt: now,
    deadlineAt: now + 60_000,
    maxAttempts: 3,
  };
}
