/** The board while DynamoDB or Redis is away: up, quick, and honest about what it does not know. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRedisLimiter } from "@sluice/limits";
import { startDynamoDb, startRedis } from "@sluice/services";
import { expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { FULL, startBoard } from "./given.ts";

vi.setConfig({ testTimeout: 60_000 });

const queuesSchema = z.object({
  queues: z.array(
    z.looseObject({
      name: z.string(),
      description: z.string().optional(),
      counts: z.record(z.string(), z.number()),
      activeRateLimitTtl: z.number(),
    }),
  ),
});

/** The overview, and how long it took. */
async function overview(url: string, active = "") {
  const before = performance.now();
  const query = new URLSearchParams({ activeQueue: active, status: "failed", page: "1", jobsPerPage: "10" });
  const response = await fetch(`${url}/api/queues?${query.toString()}`);
  expect(response.status).toBe(200);
  const { queues } = queuesSchema.parse(await response.json());
  return { byName: new Map(queues.map((queue) => [queue.name, queue])), ms: performance.now() - before };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

test("without DynamoDB the lanes are as ever, and the letters are what was last known", async () => {
  await using dynamoDb = await startDynamoDb({ dataDir: await folder() });
  await using board = await startBoard({ dynamoDbUrl: dynamoDb.url });
  const id = await board.dead();
  const name = "dead-letter.ValidationException";
  await vi.waitFor(async () =>
    expect((await overview(board.url)).byName.get(name)?.counts["failed"]).toBe(1),
  );

  await dynamoDb.kill();
  const { byName, ms } = await overview(board.url, name);
  expect(ms).toBeLessThan(3_000);
  expect(byName.get(FULL)?.counts).toMatchObject({ failed: 1, completed: 1 });
  expect(byName.get(name)?.counts).toMatchObject({ failed: 1 });
  expect(byName.get(name)?.description).toMatch(
    /^DynamoDB does not answer\. Counts are of \d\d:\d\d:\d\d UTC$/,
  );
  const single = await fetch(`${board.url}/api/queues/${name}/${id}`);
  expect([single.status, await single.text()]).toEqual([503, expect.stringContaining("cannot be read")]);
  const page = await fetch(`${board.url}/dead-letters`);
  expect([page.status, await page.text()]).toEqual([503, expect.stringContaining("cannot be read")]);
  const retry = await fetch(`${board.url}/api/queues/${name}/${id}/retry`, { method: "PUT" });
  expect(retry.status).toBe(503);

  await dynamoDb.restart();
  await vi.waitFor(
    async () => {
      const again = (await overview(board.url, name)).byName.get(name);
      expect(again?.description).not.toContain("does not answer");
    },
    { timeout: 30_000, interval: 500 },
  );
});

test("without Redis the letters are as ever, and the lanes are what was last known", async () => {
  await using redis = await startRedis({ dataDir: await folder() });
  await using board = await startBoard({ redisUrl: redis.url });
  const id = await board.dead();
  const name = "dead-letter.ValidationException";
  await vi.waitFor(async () =>
    expect((await overview(board.url)).byName.get(name)?.counts["failed"]).toBe(1),
  );

  await redis.kill();
  await vi.waitFor(async () => {
    expect((await overview(board.url, FULL)).byName.get(FULL)?.description).toMatch(
      /^Redis does not answer\. Counts are of/,
    );
  });
  const { byName, ms } = await overview(board.url, FULL);
  expect(ms).toBeLessThan(3_000);
  expect(byName.get(FULL)?.counts).toMatchObject({ failed: 1, completed: 1 });
  expect(byName.get(name)).toMatchObject({ counts: { failed: 1 } });
  expect((await fetch(`${board.url}/api/queues/${name}/${id}`)).status).toBe(200);
  expect((await fetch(`${board.url}/api/queues/${FULL}/unknown`)).status).toBe(503);
  expect((await fetch(`${board.url}/dead-letters/letter/${id}`)).status).toBe(200);

  // The claim stands; a worker's reconciler finishes it.
  const retry = await fetch(`${board.url}/api/queues/${name}/${id}/retry`, { method: "PUT" });
  expect([retry.status, await retry.text()]).toEqual([
    503,
    expect.stringContaining("will start once Redis is back"),
  ]);
  expect(await board.store.get(id)).toMatchObject({ state: "replaying" });

  await redis.restart();
  await vi.waitFor(
    async () => {
      const again = (await overview(board.url)).byName.get(FULL);
      expect(again?.description).not.toContain("does not answer");
    },
    { timeout: 30_000, interval: 500 },
  );
});

test("a lane shows its pool's quota and breaker, and a badge while the breaker is open", async () => {
  await using board = await startBoard();
  const before = (await overview(board.url)).byName.get(FULL);
  expect(before).toMatchObject({ description: "No worker is running", activeRateLimitTtl: 0 });

  const limiter = createRedisLimiter({ redis: board.redis, keySpace: board.space });
  await limiter.configure("claude", {
    quota: { tokensPerMinute: 60_000 },
    lanes: [{ name: "standard", horizonMs: 1_000, reserveMs: 0, share: 0 }],
  });
  const closed = async () => (await overview(board.url)).byName.get(FULL);
  await vi.waitFor(
    async () => expect((await closed())?.description).toMatch(/Breaker closed · .*tokens\/min/),
    5_000,
  );
  expect((await closed())?.activeRateLimitTtl).toBe(0);

  await limiter.operate("claude", { type: "open", forMs: 30_000 });
  await vi.waitFor(async () => {
    const open = await closed();
    expect(open?.description).toMatch(/Breaker open by hand: next probe in \d+ s/);
    expect(open?.activeRateLimitTtl).toBeGreaterThan(20_000);
  }, 5_000);
  await limiter.operate("claude", { type: "isolate" });
  await vi.waitFor(async () => expect((await closed())?.description).toMatch(/Breaker isolated/), 5_000);
});
