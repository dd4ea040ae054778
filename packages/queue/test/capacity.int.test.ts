import type { Redis } from "ioredis";
import { afterEach, expect, test, vi } from "vitest";
import { ownRedis, testRedis } from "../../redis/test/redis.ts";
import { CapacityGuard } from "../src/index.ts";
import { takeOne, testLane } from "./lane.ts";

const MANY_BYTES = 1e9;

afterEach(() => {
  vi.useRealTimers();
});

test("a lane is full when waiting and delayed jobs reach the limit; active ones do not count", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  await lane.addMany(3);
  expect(await guard.check(lane.queue, { jobs: 4, bytes: MANY_BYTES })).toEqual({ type: "free" });
  expect(await guard.check(lane.queue, { jobs: 3, bytes: MANY_BYTES })).toEqual({
    type: "full",
    reason: "lane-length",
    retryAfterMs: expect.any(Number) as unknown,
  });
  const { take, job } = takeOne();
  const { intake } = await lane.startIntake(take);
  const held = await job;
  expect(await guard.check(lane.queue, { jobs: 3, bytes: MANY_BYTES })).toEqual({ type: "free" });
  await intake.stop();
  await held.defer({ delayMs: 60_000, attempt: false });
  expect(await guard.check(lane.queue, { jobs: 3, bytes: MANY_BYTES })).toMatchObject({
    type: "full",
    reason: "lane-length",
  });
});

test("a lane is full when the data of its waiting jobs, by a sample, reaches the bytes it may hold", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  expect(await lane.queue.waitingBytes()).toBe(0);
  await lane.addMany(100);
  const bytes = await lane.queue.waitingBytes();
  // The jobs of this lane are alike, so that any sample of them is right.
  const [id = ""] = await lane.redis.zrange(lane.keys.prioritized, 0, "0");
  const one = await lane.redis.hstrlen(lane.keys.jobPrefix + id, "data");
  expect(bytes).toBeGreaterThan(one * 95);
  expect(bytes).toBeLessThan(one * 105);
  expect(await guard.check(lane.queue, { jobs: 1_000, bytes: bytes * 2 })).toEqual({ type: "free" });
  expect(await guard.check(lane.queue, { jobs: 1_000, bytes: bytes / 2 })).toMatchObject({
    type: "full",
    reason: "lane-bytes",
  });
});

test("a Redis without a limit is never short of memory", async () => {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  expect(await redis.config("GET", "maxmemory")).toEqual(["maxmemory", "0"]);
  expect(await new CapacityGuard(redis).check(testLane(url).queue, { jobs: 1, bytes: MANY_BYTES })).toEqual({
    type: "free",
  });
});

/** Sets the memory limit so that what is used now is about this share of it. */
async function useShare(redis: Redis, share: number): Promise<void> {
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info("memory"))?.[1]);
  await redis.config("SET", "maxmemory", Math.round(used / share));
}

test("a Redis that is three quarters full takes nothing new, and does again when it has room", async () => {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  const lane = testLane(url);
  const guard = new CapacityGuard(redis);
  await lane.addMany(1);
  await useShare(redis, 0.6);
  expect(await guard.check(lane.queue, { jobs: 10, bytes: MANY_BYTES })).toEqual({ type: "free" });

  await useShare(redis, 0.9);
  // One reading of the memory serves for a second.
  expect(await guard.check(lane.queue, { jobs: 10, bytes: MANY_BYTES })).toEqual({ type: "free" });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_500 });
  expect(await guard.check(lane.queue, { jobs: 10, bytes: MANY_BYTES })).toEqual({
    type: "full",
    reason: "redis-memory",
    retryAfterMs: expect.any(Number) as unknown,
  });

  await useShare(redis, 0.6);
  vi.setSystemTime(Date.now() + 1_500);
  expect(await guard.check(lane.queue, { jobs: 10, bytes: MANY_BYTES })).toEqual({ type: "free" });
});
