/** Redis is gone: an honest 503 at once, and work as before when it is back. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis, type RunningService } from "@sluice/services";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import { startApi } from "./given.ts";

const good = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?" };

/** A caller's patience. The connection itself gives up after two seconds. */
const QUICK_MS = 3_000;

let folder: string;
let redis: RunningService;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  redis = await startRedis({ dataDir: folder, fsync: "always" });
});

afterEach(async () => {
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

test("lost while it runs", async () => {
  await using api = await startApi({ redisUrl: redis.url, dynamoDbUrl: inject("dynamoDbUrl") });
  const key = { "idempotency-key": "outage" };
  const first = await api.post(good, key);
  expect(first.status).toBe(202);

  await redis.kill();
  const location = first.headers.get("location") ?? "";
  for (const ask of [
    async () => api.post(good),
    async () => api.post(good, key),
    async () => api.get(location),
  ]) {
    const askedAt = performance.now();
    const { status, headers, body } = await ask();
    expect({ status, body }).toEqual({
      status: 503,
      body: {
        error: {
          code: "unavailable",
          message: "Sluice cannot reach Redis, which is its queue, now. Send the request again",
        },
      },
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect(performance.now() - askedAt).toBeLessThan(QUICK_MS);
  }
  expect((await api.get("/healthz")).status).toBe(200);
  expect(await api.get("/readyz")).toMatchObject({
    status: 503,
    body: { error: { code: "not-ready", message: expect.stringContaining("Redis does not answer") } },
  });

  await redis.restart();
  await vi.waitFor(async () => expect((await api.get("/readyz")).status).toBe(200), { timeout: 10_000 });
  expect(await api.post(good, key)).toMatchObject({ status: 200, body: { repeated: true } });
  expect((await api.get(location)).body).toMatchObject({ state: "waiting" });
});

test("not there when it starts", async () => {
  await redis.kill();
  // The connections that look behind the API would wait for Redis on leaving: it must be back by then.
  await using api = await startApi({ redisUrl: redis.url, dynamoDbUrl: inject("dynamoDbUrl") });
  expect((await api.get("/healthz")).status).toBe(200);
  expect((await api.get("/readyz")).status).toBe(503);
  expect((await api.post(good)).status).toBe(503);

  await redis.restart();
  await vi.waitFor(async () => expect((await api.post(good)).status).toBe(202), { timeout: 10_000 });
});
