/** Every record of this package, as the version before wrote it and as a newer one may: the first is read, the other left. */
import { NewerVersionError } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { LAST_ID, restoreLast } from "../../redis/test/stored.ts";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import {
  CallLedger,
  CancelFlags,
  ClaimStore,
  Heartbeat,
  Lineage,
  OutcomeStore,
  readIdentities,
  ResponseCache,
  UsageStore,
} from "../src/index.ts";
import { answer, completed, id } from "./samples.ts";

/** A key space in which the version before has left its records. */
async function inherited(prefix: string) {
  const redis = testRedis("command");
  const space = testKeySpace();
  const keys = await restoreLast(redis, space, prefix);
  expect(keys.length).toBeGreaterThan(0);
  return { redis, space, key: keys[0] ?? "" };
}

async function beating(parts: Awaited<ReturnType<typeof inherited>>) {
  const heartbeat = new Heartbeat({ redis: parts.redis, keySpace: parts.space, onError: () => {} });
  await heartbeat.start();
  return { heartbeat, ledger: new CallLedger({ redis: parts.redis, keySpace: parts.space, graceMs: 0 }) };
}

const claimed = { tenant: "acme", key: "order-17", timeless: { pool: "claude", prompt: "Hello" } };
const request = { pool: "claude", prompt: "Hello", runAt: "09:00" };

describe("of the version before, this one reads", () => {
  test("outcomes", async () => {
    const { redis, space } = await inherited("outcome:");
    const outcomes = new OutcomeStore(redis, space);
    expect(await outcomes.get(LAST_ID)).toMatchObject({ outcome: "completed", answer: { text: "Grüße" } });
    expect(await outcomes.get(`${LAST_ID}.r1`)).toMatchObject({
      outcome: "dead",
      failure: { errorClass: "ValidationException" },
    });
  });

  test("cached answers", async () => {
    const { redis, space } = await inherited("cache:");
    expect(
      await new ResponseCache(redis, space, Date.now).lead({
        key: "k",
        jobId: id,
        ttlMs: 1_000,
        answerMs: 1_000,
      }),
    ).toMatchObject({
      type: "hit",
      answer: { text: "Grüße" },
    });
  });

  test("idempotency keys", async () => {
    const { redis, space } = await inherited("claim:");
    const claims = new ClaimStore(redis, space);
    expect(await claims.claim({ ...claimed, request, id: "another" })).toEqual({
      type: "repeated",
      id: LAST_ID,
    });
    expect(await claims.find({ ...claimed, request })).toEqual({ type: "repeated", id: LAST_ID });
  });

  test("the ledger of a job, and goes on counting", async () => {
    const parts = await inherited("ledger:");
    const { heartbeat, ledger } = await beating(parts);
    const begin = { id: `${LAST_ID}.r2`, owner: heartbeat.owner, maxCalls: 3, leaseMs: 1_000 };
    expect(await ledger.begin(begin)).toMatchObject({ type: "go", call: 3, lost: 0 });
    await heartbeat.stop();
  });

  test("which life of a job is its latest", async () => {
    const { redis, space } = await inherited("lineage:");
    const lineage = new Lineage(redis, space);
    expect(await lineage.latest(LAST_ID)).toBe(2);
    await lineage.mark({ id: `${LAST_ID}.r3`, deadlineAt: Date.now() });
    expect(await lineage.latest(LAST_ID)).toBe(3);
  });

  test("who has no credentials", async () => {
    const parts = await inherited("identity:");
    await parts.redis.zadd(`${parts.space}:heartbeat:owners`, Date.now() + 60_000, "owner-1");
    expect(await readIdentities(parts.redis, parts.space)).toMatchObject({
      workers: 1,
      lost: 1,
      errorClasses: ["ExpiredTokenException"],
    });
  });

  test("what prompts of a class use", async () => {
    const { redis, space } = await inherited("usage:");
    expect(await new UsageStore(redis, space).report("claude")).toMatchObject([
      { promptClass: "greeting", calls: 1, settledTokens: 120, longestOutputTokens: 5 },
    ]);
  });

  test("that a job is to be cancelled", async () => {
    const { redis, space } = await inherited("cancel:");
    expect(await new CancelFlags(redis, space).isRequested(`${LAST_ID}.r3`)).toBe(true);
  });
});

describe("of a newer version, this one leaves as it is", () => {
  test("an outcome, which ends the job all the same", async () => {
    const { redis, space, key } = await inherited("outcome:");
    const stored = JSON.stringify({ ...completed, outcome: "partial", version: 2, words: ["?"] });
    await redis.set(key, stored);
    const outcomes = new OutcomeStore(redis, space);
    await expect(outcomes.get(LAST_ID)).rejects.toThrow(NewerVersionError);
    expect(await outcomes.put({ ...completed, id: LAST_ID })).toBe(false);
    expect(await redis.get(key)).toBe(stored);
  });

  test("an idempotency key: nobody knows what its hashes are of", async () => {
    const { redis, space, key } = await inherited("claim:");
    await redis.hset(key, "version", 2, "hash", "blake3:1", "timeless", "blake3:2");
    const before = await redis.hgetall(key);
    const claims = new ClaimStore(redis, space);
    await expect(claims.claim({ ...claimed, request, id })).rejects.toThrow(NewerVersionError);
    await expect(claims.find({ ...claimed, request })).rejects.toThrow(NewerVersionError);
    expect(await redis.hgetall(key)).toEqual(before);
  });

  test("the ledger of a job: it is not called here", async () => {
    const parts = await inherited("ledger:");
    const { heartbeat, ledger } = await beating(parts);
    await parts.redis.hset(parts.key, "version", 2);
    const before = await parts.redis.hgetall(parts.key);
    const begin = { id: `${LAST_ID}.r2`, owner: heartbeat.owner, maxCalls: 9, leaseMs: 1_000 };
    await expect(ledger.begin(begin)).rejects.toThrow(NewerVersionError);
    expect(await parts.redis.hgetall(parts.key)).toEqual(before);
    await heartbeat.stop();
  });

  test("which life of a job is its latest", async () => {
    const { redis, space, key } = await inherited("lineage:");
    await redis.hset(key, "version", 2);
    const before = await redis.hgetall(key);
    const lineage = new Lineage(redis, space);
    await expect(lineage.latest(LAST_ID)).rejects.toThrow(NewerVersionError);
    await expect(lineage.mark({ id: `${LAST_ID}.r3`, deadlineAt: Date.now() })).rejects.toThrow(
      NewerVersionError,
    );
    expect(await redis.hgetall(key)).toEqual(before);
  });
});

describe("of a newer version, this one does without", () => {
  test("a cached answer: the call is made, and its answer takes the place", async () => {
    const { redis, space, key } = await inherited("cache:");
    await redis.set(key, JSON.stringify({ version: 2, parts: [] }));
    const cache = new ResponseCache(redis, space, Date.now);
    expect(await cache.lead({ key: "k", jobId: id, ttlMs: 1_000, answerMs: 1_000 })).toEqual({
      type: "leader",
    });
    await cache.put({ key: "k", jobId: id, answer, ttlMs: 1_000 });
    expect(await cache.get("k")).toEqual(answer);
  });

  test("the reason why a worker has no credentials", async () => {
    const parts = await inherited("identity:");
    await parts.redis.set(parts.key, JSON.stringify({ version: 2, because: "?" }));
    await parts.redis.zadd(`${parts.space}:heartbeat:owners`, Date.now() + 60_000, "owner-1");
    expect(await readIdentities(parts.redis, parts.space)).toMatchObject({
      workers: 1,
      lost: 1,
      errorClasses: ["UnknownError"],
    });
  });
});

test("what this version stores says its version, and keeps the fields that the version before reads", async () => {
  const { redis, space } = await inherited("lineage:");
  await new OutcomeStore(redis, space).put(completed);
  expect(JSON.parse((await redis.get(`${space}:outcome:${id}`)) ?? "")).toEqual({ version: 1, ...completed });
  await new ClaimStore(redis, space).claim({ ...claimed, request, id });
  const [key = ""] = await redis.keys(`${space}:claim:*`);
  expect(await redis.hkeys(key)).toEqual(["id", "hash", "timeless", "version"]);
});
