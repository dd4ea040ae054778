/** A board over a key space of its own, with a job in every state. */
import { randomBytes, scryptSync } from "node:crypto";
import { parsePools } from "@sluice/config";
import { createDynamoDbStore, ensureTable, type DynamoDbStore } from "@sluice/dead-letter";
import { newJobId, queueName, type JobData, type JobKind } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { UnrecoverableError, Worker } from "bullmq";
import { expect, inject, vi } from "vitest";
import type { AuditEntry } from "../src/access/audit.ts";
import type { AccessSettings } from "../src/access/settings.ts";
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

/** A hash that costs no time: for tests of what a password leads to, not of how it is stored. */
export function cheapHash(password: string): string {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, { N: 1_024, r: 8, p: 1 });
  return `scrypt:1024:8:1:${salt.toString("hex")}:${key.toString("hex")}`;
}

/** What a test says of a letter; the rest is as it usually is. */
export interface Dead {
  readonly text?: string;
  readonly errorClass?: string;
  readonly message?: string;
  readonly tenant?: string;
  readonly diedAt?: number;
  /** Default: a lane of the pools file. */
  readonly lane?: string;
  /** Default: a Converse request of the text. */
  readonly kind?: JobKind;
  readonly request?: object;
}

export interface BoardOptions {
  /** Default: whoever asks is the admin of this machine. */
  readonly access?: AccessSettings;
  readonly allowedHosts?: readonly string[];
  /** Default 20. */
  readonly replaysPerLane?: number;
  readonly redisUrl?: string;
  readonly dynamoDbUrl?: string;
}

export type TestBoard = Awaited<ReturnType<typeof startBoard>>;

export async function startBoard(options: BoardOptions = {}) {
  const { access = { type: "local" }, replaysPerLane = 20, allowedHosts = [] } = options;
  const { redisUrl = inject("redisUrl"), dynamoDbUrl = inject("dynamoDbUrl") } = options;
  const name = `board-test-${randomBytes(4).toString("hex")}`;
  const space = keySpace(name, SCOPE);
  const redis = connect(redisUrl, "worker", () => {});
  const errors: unknown[] = [];
  const audit: AuditEntry[] = [];
  const dynamoDb = {
    endpoint: dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: name, ...dynamoDb });
  const deadLetters: DynamoDbStore = createDynamoDbStore({ tableName: name, ...dynamoDb });
  const board = new Board({
    pools: parsePools(JSON.stringify(POOLS), "pools.yaml"),
    namespace: name,
    redisUrl,
    deadLetters,
    deadLetterTable: name,
    access,
    allowedHosts,
    replaysPerLane,
    validateResponses: true,
    classesEveryMs: 50,
    audit: (entry) => void audit.push(entry),
    host: "127.0.0.1",
    port: 0,
    onError: (error) => errors.push(error),
  });
  const url = await board.start();
  const lane = new LaneQueue({
    redis,
    keySpace: space,
    pool: "claude",
    lane: "standard",
    clock: Date.now,
    onError: () => {},
  });
  const worker = new Worker(queueName("claude", "standard"), null, {
    connection: redis,
    prefix: space,
    autorun: false,
  });
  // Outages are part of some tests.
  worker.on("error", () => {});

  async function add(text: string): Promise<JobData> {
    const job = await newJob(text);
    await lane.add(job);
    return job;
  }

  /** Overwrites an attribute of a letter's item, as nobody should. `value` is in DynamoDB's own JSON. */
  async function damage(id: string, path: string, value: object): Promise<void> {
    const names = Object.fromEntries(path.split(".").map((part, index) => [`#n${index}`, part]));
    const response = await fetch(dynamoDbUrl, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "DynamoDB_20120810.UpdateItem",
        "x-amz-date": "20260101T000000Z",
        authorization:
          "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x",
      },
      body: JSON.stringify({
        TableName: name,
        Key: { id: { S: id }, item: { S: "letter" } },
        UpdateExpression: `SET ${Object.keys(names).join(".")} = :value`,
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: { ":value": value },
      }),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  /** A letter of a job that has died. Resolves to its id. */
  async function dead({
    text = MARKER,
    errorClass = "ValidationException",
    message = "Too long",
    tenant,
    diedAt,
    lane: of = "standard",
    kind,
    request,
  }: Dead = {}) {
    const usual = await newJob(text, tenant, of);
    const payload = request === undefined ? usual.payload : await encodePayload(request);
    const data = { ...usual, payload, kind: kind ?? usual.kind };
    const failure = { kind: "terminal", errorClass, message, status: 400 } as const;
    await deadLetters.put({ data, failure, attempts: 3, stalls: 0, diedAt: diedAt ?? Date.now() - 60_000 });
    return data.id;
  }

  /** Resolves to where the queue of an error class is, once the board has found the class. */
  async function classQueue(errorClass: string): Promise<string> {
    const queue = `dead-letter.${errorClass}`;
    await vi.waitFor(
      async () => expect(await (await fetch(`${url}/api/queues`)).text()).toContain(JSON.stringify(queue)),
      10_000,
    );
    return `${url}/api/queues/${queue}`;
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
    space,
    errors,
    audit,
    store: deadLetters,
    lane,
    add,
    dead,
    damage,
    classQueue,
    fetchNext,
    jobs: { failed, completed, delayed, active, waiting, long },
    /** Every key of the key space with its content. */
    async everythingInRedis(): Promise<Record<string, string>> {
      // The board's watch writes its mark every few seconds.
      const keys = (await redis.keys(`${name}:*`)).filter((key) => !key.endsWith(":mark")).toSorted();
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
      deadLetters.close();
    },
  };
}

async function newJob(text: string, tenant = "acme", lane = "standard"): Promise<JobData> {
  const now = Date.now();
  return {
    version: 1,
    id: newJobId("claude", lane, now),
    tenant,
    pool: "claude",
    lane,
    kind: "converse",
    payload: await encodePayload({ messages: [{ role: "user", content: [{ text }] }], maxTokens: 10 }),
    acceptedAt: now,
    deadlineAt: now + 60_000,
    maxAttempts: 3,
  };
}
