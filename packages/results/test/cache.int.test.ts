import { setTimeout as sleep } from "node:timers/promises";
import type { Outcome } from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { cacheKey, OutcomeStore, ResponseCache, type Share } from "../src/index.ts";
import { answer } from "./samples.ts";

const request = { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 10 };
const asked = { tenant: "acme", pool: "p", model: "m", request };
const key = cacheKey(asked);

function given() {
  const redis = testRedis("command");
  const space = testKeySpace();
  return { redis, space, cache: new ResponseCache(redis, space, Date.now) };
}

describe("the key of a request", () => {
  test("does not depend on the order of fields", () => {
    const { messages, maxTokens } = request;
    expect(cacheKey({ ...asked, request: { maxTokens, messages } })).toBe(key);
  });

  test("differs by tenant, pool, model and request", () => {
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const any = fc.record({ tenant: name, pool: name, model: fc.string(), request: fc.jsonValue() });
    fc.assert(
      fc.property(any, any, (a, b) => {
        for (const part of ["tenant", "pool", "model"] as const) {
          const same = cacheKey({ ...a, [part]: b[part] }) === cacheKey(a);
          expect(same).toBe(a[part] === b[part]);
        }
      }),
    );
    expect(cacheKey({ ...asked, request: { ...request, maxTokens: 11 } })).not.toBe(key);
  });
});

describe("an answer", () => {
  test("is given again until its time is over", async () => {
    const { cache } = given();
    expect(await cache.get(key)).toBeUndefined();
    await cache.put({ key, jobId: "a", answer, ttlMs: 300 });
    expect(await cache.get(key)).toEqual(answer);
    await expect.poll(async () => cache.get(key), { timeout: 2_000 }).toBeUndefined();
  });

  test("stays with its tenant", async () => {
    const { cache } = given();
    await cache.put({ key, jobId: "a", answer, ttlMs: 60_000 });
    expect(await cache.get(cacheKey({ ...asked, tenant: "other" }))).toBeUndefined();
  });

  test("that is not one of ours is an error, not an answer", async () => {
    const { cache, redis, space } = given();
    await redis.set(`${space}:cache:${key}`, JSON.stringify({ text: 1 }), "PX", 60_000);
    await expect(cache.get(key)).rejects.toThrow("text");
    await expect(cache.lead({ key, jobId: "a", ttlMs: 1_000, answerMs: 60_000 })).rejects.toThrow("text");
  });
});

describe("equal requests in flight", () => {
  test("have one leader out of 50, whom the others follow, and its answer is for all", async () => {
    const { cache } = given();
    const jobs = Array.from({ length: 50 }, (_, n) => `job-${String(n)}`);
    const shares = await Promise.all(
      jobs.map(async (jobId) => ({
        jobId,
        share: await cache.lead({ key, jobId, ttlMs: 60_000, answerMs: 60_000 }),
      })),
    );
    const leaders = shares.filter(({ share }) => share.type === "leader");
    expect(leaders).toHaveLength(1);
    const leader = leaders[0]?.jobId ?? "";
    expect(shares.filter(({ share }) => share.type === "follow" && share.leader === leader)).toHaveLength(49);
    await cache.put({ key, jobId: leader, answer, ttlMs: 60_000 });
    for (const jobId of jobs) {
      expect(await cache.lead({ key, jobId, ttlMs: 60_000, answerMs: 60_000 })).toEqual({
        type: "hit",
        answer,
      });
    }
  });

  test("keep their leader when it asks again", async () => {
    const { cache } = given();
    for (let n = 0; n < 3; n += 1) {
      expect(await cache.lead({ key, jobId: "a", ttlMs: 60_000, answerMs: 60_000 })).toEqual({
        type: "leader",
      });
    }
  });

  test("get another leader when theirs has died", async () => {
    const { cache } = given();
    await cache.lead({ key, jobId: "a", ttlMs: 200, answerMs: 60_000 });
    const follow = await cache.lead({ key, jobId: "b", ttlMs: 60_000, answerMs: 60_000 });
    expect(follow).toMatchObject({ type: "follow", leader: "a" });
    const retryAfterMs = follow.type === "follow" ? follow.retryAfterMs : 0;
    expect(retryAfterMs).toBeLessThanOrEqual(200);
    await sleep(retryAfterMs + 5);
    expect(await cache.lead({ key, jobId: "b", ttlMs: 60_000, answerMs: 60_000 })).toEqual({
      type: "leader",
    });
    expect(await cache.lead({ key, jobId: "a", ttlMs: 60_000, answerMs: 60_000 })).toMatchObject({
      leader: "b",
    });
  });

  test("get another leader at once when theirs gives up; nobody gives up for another", async () => {
    const { cache } = given();
    await cache.lead({ key, jobId: "a", ttlMs: 60_000, answerMs: 60_000 });
    await cache.release({ key, jobId: "b" });
    expect((await cache.lead({ key, jobId: "b", ttlMs: 60_000, answerMs: 60_000 })).type).toBe("follow");
    await cache.release({ key, jobId: "a" });
    expect((await cache.lead({ key, jobId: "b", ttlMs: 60_000, answerMs: 60_000 })).type).toBe("leader");
    expect(await cache.get(key)).toBeUndefined();
  });

  test("take the answer of a leader that was given up, and leave the new leader its lead", async () => {
    const { cache, redis, space } = given();
    await cache.lead({ key, jobId: "b", ttlMs: 60_000, answerMs: 60_000 });
    await cache.put({ key, jobId: "a", answer, ttlMs: 60_000 });
    expect(await redis.get(`${space}:cache-leader:${key}`)).toBe("b");
    expect((await cache.lead({ key, jobId: "c", ttlMs: 60_000, answerMs: 60_000 })).type).toBe("hit");
  });

  const ended = { id: "a", tenant: "acme", acceptedAt: 1, attempts: 1 };
  const failure = { kind: "terminal", errorClass: "DeadlineExceeded", message: "" } as const;
  const now = Date.now();
  test.each<[string, Outcome, Share["type"]]>([
    ["was cancelled", { ...ended, endedAt: now, outcome: "cancelled" }, "leader"],
    [
      "is dead: overdue, exhausted, malformed",
      { ...ended, endedAt: now, outcome: "dead", failure },
      "leader",
    ],
    ["was filtered", { ...ended, endedAt: now, outcome: "filtered", answer }, "leader"],
    [
      "was answered, and died before it could share that",
      { ...ended, endedAt: now, outcome: "completed", answer },
      "hit",
    ],
    [
      "was answered too long ago",
      { ...ended, endedAt: now - 60_000, outcome: "completed", answer },
      "leader",
    ],
  ])("do not wait for a leader that %s", async (_how, outcome, share) => {
    const { cache, redis, space } = given();
    const ask = { key, ttlMs: 86_400_000, answerMs: 60_000 };
    await cache.lead({ ...ask, jobId: "a" });
    expect(await cache.lead({ ...ask, jobId: "b" })).toMatchObject({ type: "follow", leader: "a" });
    await new OutcomeStore(redis, space).put(outcome);
    expect(await cache.lead({ ...ask, jobId: "b" })).toMatchObject({ type: share });
    expect(await cache.lead({ ...ask, jobId: "c" })).toMatchObject(
      share === "hit" ? { type: "hit", answer } : { type: "follow", leader: "b" },
    );
    expect(await redis.get(`${space}:cache-leader:${key}`)).toBe(share === "hit" ? null : "b");
  });

  test("leave only keys that expire", async () => {
    const { cache, redis, space } = given();
    await cache.put({ key, jobId: "a", answer, ttlMs: 60_000 });
    await cache.lead({
      key: cacheKey({ ...asked, model: "n" }),
      jobId: "a",
      ttlMs: 60_000,
      answerMs: 60_000,
    });
    const keys = await redis.keys(`${space}:*`);
    expect(keys).toHaveLength(2);
    for (const each of keys) expect(await redis.pttl(each)).toBeGreaterThan(0);
  });
});
