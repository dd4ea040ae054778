/** A service beside Redis: its jobs are accepted as the API's are, found again, and nothing of AWS is loaded for it. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { parsePools } from "@sluice/config";
import { expect, inject, onTestFinished, test } from "vitest";
import { ownRedis } from "../../services/test/own-redis.ts";
import { openProducer, type Producer } from "../src/index.ts";

const POOLS = parsePools(
  `
scopes:
  main: { region: us-east-1 }
pools:
  claude:
    scope: main
    model: anthropic.claude-sonnet-4-20250514-v1:0
    maxOutputTokens: 1000
    quota: { tokensPerMinute: 100000 }
`,
  "pools.yaml",
);

const JOB = { pool: "claude", lane: "standard", prompt: "Why is the sky blue?", maxTokens: 100 } as const;

function open(redisUrl: string = inject("redisUrl"), tenant?: string): Producer {
  const namespace = `t-${randomBytes(6).toString("hex")}`;
  const producer = openProducer(POOLS, redisUrl, { namespace, ...(tenant === undefined ? {} : { tenant }) });
  onTestFinished(async () => producer.close());
  return producer;
}

test("a job is accepted once under its key, and found", async () => {
  const producer = open();
  await producer.ready(AbortSignal.timeout(10_000));
  const first = await producer.accept({ ...JOB, idempotencyKey: "once" });
  if (first.type !== "accepted") throw new Error(first.message);
  expect(first.id).toMatch(/^claude\.standard\.[0-9a-z]{26}$/);
  expect(first.repeated).toBe(false);
  expect(await producer.find(first.id)).toMatchObject({
    state: "waiting",
    attempts: 0,
    deadlineAt: first.deadlineAt,
  });
  const again = await producer.accept({ ...JOB, idempotencyKey: "once" });
  expect(again).toMatchObject({ type: "accepted", id: first.id, repeated: true });
  expect(await producer.accept({ ...JOB, prompt: "Why not?", idempotencyKey: "once" })).toMatchObject({
    type: "refused",
    code: "idempotency-conflict",
  });
});

test.each([
  [{ ...JOB, pool: "gpt" }, "unknown-pool"],
  [{ ...JOB, lane: "urgent" }, "unknown-lane"],
  [{ ...JOB, maxTokens: 1_001 }, "max-tokens-too-large"],
  [{ ...JOB, prompt: "x".repeat(1_100_000) }, "prompt-too-large"],
  [{ ...JOB, prompt: "word ".repeat(200_000) }, "cost-exceeds-quota"],
  [{ ...JOB, prompt: "\ud800" }, "unsafe-content"],
])("what the API refuses is refused with its code: %#", async (job, code) => {
  const producer = open();
  const refused = await producer.accept(job);
  expect(refused).toMatchObject({ type: "refused", code });
});

test("what is no submission is a TypeError that names the field, and not what was sent", async () => {
  const producer = open();
  const wrong = { ...JOB, maxTokens: -1, temperature: "my secret" };
  // @ts-expect-error -- a caller without types
  const error = await producer.accept(wrong).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toMatch(/maxTokens[\s\S]*temperature/);
  expect(String(error)).not.toContain("secret");
});

test("a Redis that may lose its jobs gets none, and the reason is told", async () => {
  const redis = await ownRedis("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru");
  const producer = open(redis.url);
  expect(await producer.accept(JOB)).toMatchObject({
    type: "refused",
    code: "redis-unsafe",
    message: expect.stringContaining("allkeys-lru"),
    retryAfterMs: expect.any(Number),
  });
});

test("another tenant's job is not found", async () => {
  const namespace = `t-${randomBytes(6).toString("hex")}`;
  const [mine, theirs] = ["a", "b"].map((tenant) => {
    const producer = openProducer(POOLS, inject("redisUrl"), { namespace, tenant });
    onTestFinished(async () => producer.close());
    return producer;
  });
  const accepted = await mine?.accept(JOB);
  if (accepted?.type !== "accepted") throw new Error("Expected the job to be accepted");
  expect(await theirs?.find(accepted.id)).toBeUndefined();
});

test("nothing of AWS is loaded, and of the parts that speak with it only the estimate", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const seen = new Set();
    registerHooks({ load: (url, context, next) => { seen.add(url); return next(url, context); } });
    await import("@sluice/installation");
    process.stdout.write([...seen].join("\\n"));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@sluice/source", "--input-type=module", "--eval", script],
    { cwd: import.meta.dirname, maxBuffer: 10_000_000 },
  );
  const loaded = stdout.split("\n");
  expect(loaded.some((url) => url.includes("/packages/queue/src/"))).toBe(true);
  const ofAws = /@aws-sdk|@smithy|packages\/dead-letter\/|packages\/bedrock\/(?!src\/estimate\/)/;
  expect(loaded.filter((url) => ofAws.test(url))).toEqual([]);
});
