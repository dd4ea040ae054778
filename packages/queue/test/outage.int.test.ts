/** Redis gone and back, as a crash leaves it: SIGKILL, then a restart from its append-only file. */
import { expect, onTestFinished, test, vi } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { LaneQueue } from "../src/index.ts";
import { testLane } from "./lane.ts";

test("adding fails fast while Redis is down and works when it is back, on the same queue", async () => {
  const service = await ownRedis();
  const lane = testLane(service.url);
  await lane.addMany(1);
  await service.kill();
  const job = lane.newJob();
  const before = performance.now();
  await expect(lane.queue.add(job)).rejects.toThrow(/max retries|timed out|closed/i);
  await expect(lane.queue.find(job.id)).rejects.toThrow(/max retries|timed out|closed/i);
  expect(performance.now() - before).toBeLessThan(5_000);
  await service.restart();
  await vi.waitFor(async () => lane.queue.add(job), { timeout: 5_000 });
  expect(await lane.queue.counts()).toMatchObject({ waiting: 2 });
});

test("a queue that was made while Redis was down works when it is up", async () => {
  const service = await ownRedis();
  await service.kill();
  const redis = testRedis("producer", service.url);
  const names = { keySpace: testKeySpace(), pool: "pool", lane: "standard" };
  const queue = new LaneQueue({ ...names, redis, clock: Date.now, onError: () => {} });
  onTestFinished(async () => queue.close());
  const job = testLane(service.url).newJob();
  await expect(queue.add(job)).rejects.toThrow(/max retries|timed out|closed/i);
  await service.restart();
  await vi.waitFor(async () => queue.add(job), { timeout: 5_000 });
  expect(await queue.counts()).toMatchObject({ waiting: 1 });
});

test("a Redis killed under two busy intakes loses no job", async () => {
  const service = await ownRedis();
  const lane = testLane(service.url);
  const ids = await lane.addMany(600);
  const ran = new Set<string>();
  const locks = { slots: 4, inHandMs: 1_000, callMs: 1_000, stalledIntervalMs: 500 };
  for (let n = 0; n < 2; n += 1) {
    await lane.startIntake(
      async (job) => async () => {
        ran.add(job.id);
        await job.complete({ outcome: "completed" });
      },
      locks,
    );
  }
  for (const share of [0.25, 0.5]) {
    await vi.waitUntil(() => ran.size > ids.length * share, { timeout: 10_000, interval: 5 });
    await service.kill();
    await service.restart();
  }
  await vi.waitUntil(async () => (await lane.redis.zcard(`${lane.keys.jobPrefix}completed`)) === ids.length, {
    timeout: 20_000,
  });
  expect([...ran].toSorted()).toEqual(ids.toSorted());
  expect(await lane.queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
});
