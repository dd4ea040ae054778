import type { Redis } from "ioredis";
import { afterEach, expect, test, vi } from "vitest";
import { ownRedis, testRedis } from "../../redis/test/redis.ts";
import { CapacityGuard } from "../src/index.ts";
import { takeOne, testLane } from "./lane.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("a lane is full when waiting and delayed jobs reach the limit; active ones do not count", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  await lane.addMany(3);
  expect(await guard.check(lane.queue, 4)).toEqual({ type: "free" });
  expect(await guard.check(lane.queue, 3)).toEqual({
    type: "full",
    reason: "lane-length",
    retryAfterMs: expect.any(Number) as unknown,
  });
  const { take, job } = takeOne();
  const { intake } = await lane.startIntake(take);
  const held = await job;
  expect(await guard.check(lane.queue, 3)).toEqual({ type: "free" });
  await intake.stop();
  await held.defer({ delayMs: 60_000, attempt: false });
  expect(await guard.check(lane.queue, 3)).toMatchObject({ type: "full", reason: "lane-length" });
});

test("a Redis without a limit is never short of memory", async () => {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  expect(await redis.config("GET", "maxmemory")).toEqual(["maxmemory", "0"]);
  expect(await new CapacityGuard(redis).check(testLane(url).queue, 1)).toEqual({ type: "free" });
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
  expect(await guard.check(lane.queue, 10)).toEqual({ type: "free" });

  await useShare(redis, 0.9);
  // One reading of the memory serves for a second.
  expect(await guard.check(lane.queue, 10)).toEqual({ type: "free" });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_500 });
  expect(await guard.check(lane.queue, 10)).toEqual({
    type: "full",
    reason: "redis-memory",
    retryAfterMs: expect.any(Number) as unknown,
  });

  await useShare(redis, 0.6);
  vi.setSystemTime(Date.now() + 1_500);
  expect(await guard.check(lane.queue, 10)).toEqual({ type: "free" });
});
