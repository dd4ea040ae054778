/** `/readyz` proves a write, and says what a job that is accepted now would not survive. */
import { expect, inject, test, vi } from "vitest";
import { replicaPair } from "../../../packages/redis/test/failover.ts";
import { testRedis } from "../../../packages/redis/test/redis.ts";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";
import { startApi } from "./given.ts";

const good = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?" };
const start = async (redisUrl: string) => startApi({ redisUrl, dynamoDbUrl: inject("dynamoDbUrl") });

test("a fail-over that leaves its connection open costs no post", async () => {
  const pair = await replicaPair();
  await using api = await start(pair.url);
  expect((await api.post(good)).status).toBe(202);
  await pair.failOver();
  const replies = await Promise.all(Array.from({ length: 20 }, async () => api.post(good)));
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 202));
  expect((await api.get("/readyz")).status).toBe(200);
});

test("a Redis without memory takes no write, and the API is not ready", async () => {
  const { url } = await ownRedis();
  await using api = await start(url);
  await vi.waitFor(async () => expect((await api.get("/readyz")).status).toBe(200));
  const redis = testRedis("command", url);
  await redis.config("SET", "maxmemory", "1");
  await vi.waitFor(
    async () =>
      expect(await api.get("/readyz")).toMatchObject({
        status: 503,
        body: {
          error: { code: "not-ready", message: expect.stringContaining("no memory left for a write") },
        },
      }),
    5_000,
  );
  await redis.config("SET", "maxmemory", "0");
  await vi.waitFor(async () => expect((await api.get("/readyz")).status).toBe(200), 5_000);
});

test.each([
  ["evicts", "maxmemory-policy", "allkeys-lru", "noeviction", "Set maxmemory-policy to noeviction"],
  ["has no append-only file any more", "appendonly", "no", "yes", "Set appendonly to yes"],
])("a Redis that %s gets no more jobs, and the reason is told", async (_name, setting, bad, was, advice) => {
  const { url } = await ownRedis();
  await using api = await start(url);
  expect((await api.post(good)).status).toBe(202);
  const redis = testRedis("command", url);
  await redis.config("SET", setting, bad);
  await vi.waitFor(
    async () =>
      expect(await api.get("/readyz")).toMatchObject({
        status: 503,
        body: { error: { code: "not-ready", message: expect.stringContaining(advice) } },
      }),
    5_000,
  );
  expect(await api.post(good)).toMatchObject({ status: 503, body: { error: { code: "redis-unsafe" } } });
  await redis.config("SET", setting, was);
  await vi.waitFor(async () => expect((await api.get("/readyz")).status).toBe(200), 5_000);
  expect((await api.post(good)).status).toBe(202);
});
