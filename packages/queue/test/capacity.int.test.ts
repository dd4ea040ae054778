import type { Redis } from "ioredis";
import { expect, test, vi } from "vitest";
import { testRedis } from "../../redis/test/redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { CapacityGuard, type Capacity } from "../src/index.ts";
import { takeOne, testLane } from "./lane.ts";

const MANY_BYTES = 1e9;
const JOB = { bytes: 100, answerBytes: 100 };

/** Asks for a job that is not added after all. */
async function check(guard: CapacityGuard, ...asked: Parameters<CapacityGuard["check"]>): Promise<Capacity> {
  const capacity = await guard.check(...asked);
  if (capacity.type === "free") capacity.written();
  return capacity;
}

/** A monotonic clock that can be put forward. */
function stopwatch() {
  let passed = 0;
  return { monotonic: () => performance.now() + passed, pass: (ms: number) => void (passed += ms) };
}

test("a lane is full when waiting and delayed jobs reach the limit; active ones do not count", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  await lane.addMany(3);
  expect(await check(guard, lane.queue, { jobs: 4, bytes: MANY_BYTES }, JOB)).toMatchObject({ type: "free" });
  expect(await check(guard, lane.queue, { jobs: 3, bytes: MANY_BYTES }, JOB)).toEqual({
    type: "full",
    reason: "lane-length",
    retryAfterMs: expect.any(Number) as unknown,
  });
  const { take, job } = takeOne();
  const { intake } = await lane.startIntake(take);
  const held = await job;
  expect(await check(guard, lane.queue, { jobs: 3, bytes: MANY_BYTES }, JOB)).toMatchObject({ type: "free" });
  await intake.stop();
  await held.defer({ delayMs: 60_000, attempt: false });
  expect(await check(guard, lane.queue, { jobs: 3, bytes: MANY_BYTES }, JOB)).toMatchObject({
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
  expect(await check(guard, lane.queue, { jobs: 1_000, bytes: bytes * 2 }, JOB)).toMatchObject({
    type: "free",
  });
  expect(await check(guard, lane.queue, { jobs: 1_000, bytes: bytes / 2 }, JOB)).toMatchObject({
    type: "full",
    reason: "lane-bytes",
  });
});

test("a job counts itself: a lane takes none that would be too much for it, and any while it is empty", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  const large = { bytes: 1_000, answerBytes: 100 };
  const bounds = { jobs: 1_000, bytes: 900 };
  const first = await guard.check(lane.queue, bounds, large);
  expect(first).toMatchObject({ type: "free" });
  expect(await check(guard, lane.queue, bounds, JOB)).toMatchObject({ type: "full", reason: "lane-bytes" });
  expect(await check(guard, lane.queue, { ...bounds, bytes: 1_099 }, JOB)).toMatchObject({ type: "full" });
  expect(await check(guard, lane.queue, { ...bounds, bytes: 1_100 }, JOB)).toMatchObject({ type: "free" });
});

test("40 who ask at once share one look at the lane", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(lane.redis);
  await lane.addMany(3);
  const looks = vi.spyOn(lane.queue, "waitingBytes");
  const bounds = { jobs: 1_000, bytes: MANY_BYTES };
  await Promise.all(Array.from({ length: 40 }, async () => check(guard, lane.queue, bounds, JOB)));
  expect(looks).toHaveBeenCalledTimes(1);
});

test("a Redis without a limit is never short of memory", async () => {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  expect(await redis.config("GET", "maxmemory")).toEqual(["maxmemory", "0"]);
  expect(
    await check(new CapacityGuard(redis), testLane(url).queue, { jobs: 1, bytes: MANY_BYTES }, JOB),
  ).toMatchObject({
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
  const { monotonic, pass } = stopwatch();
  const guard = new CapacityGuard(redis, monotonic);
  await lane.addMany(1);
  await useShare(redis, 0.6);
  expect(await check(guard, lane.queue, { jobs: 10, bytes: MANY_BYTES }, JOB)).toMatchObject({
    type: "free",
  });

  await useShare(redis, 0.9);
  // One reading of the memory serves for a second.
  expect(await check(guard, lane.queue, { jobs: 10, bytes: MANY_BYTES }, JOB)).toMatchObject({
    type: "free",
  });
  pass(1_500);
  expect(await check(guard, lane.queue, { jobs: 10, bytes: MANY_BYTES }, JOB)).toEqual({
    type: "full",
    reason: "redis-memory",
    retryAfterMs: expect.any(Number) as unknown,
  });

  await useShare(redis, 0.6);
  pass(1_500);
  expect(await check(guard, lane.queue, { jobs: 10, bytes: MANY_BYTES }, JOB)).toMatchObject({
    type: "free",
  });
});

const MB = 1024 * 1024;

async function limited(maxBytes: number) {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  await redis.config("SET", "maxmemory", maxBytes);
  const { monotonic, pass } = stopwatch();
  return {
    redis,
    lane: testLane(url),
    guard: new CapacityGuard(testRedis("producer", url), monotonic),
    pass,
  };
}

/** In small pieces: what a connection has just read takes room too, for a moment. */
async function fill(redis: Redis, from: number, toMb: number): Promise<void> {
  for (let piece = from * 16; piece < toMb * 16; piece += 1) {
    await redis.set(`piece-${piece}`, "x".repeat(MB / 16));
  }
}

const MANY = { jobs: 1e6, bytes: 1e12 };

test("of 300 long jobs that come at once, no more are let in than there is room for", async () => {
  const { redis, lane, guard } = await limited(32 * MB);
  const job = { bytes: 0.7 * MB, answerBytes: 400 };
  await check(guard, lane.queue, MANY, JOB);
  const asked = await Promise.all(
    Array.from({ length: 300 }, async () => guard.check(lane.queue, MANY, job)),
  );
  const free = asked.filter((capacity) => capacity.type === "free");
  expect(free.length).toBeGreaterThan(15);
  expect(free.length * job.bytes).toBeLessThan(24 * MB);
  await Promise.all(
    free.map(async ({ written }, index) => {
      await redis.set(`job-${index}`, "x".repeat(job.bytes));
      written();
    }),
  );
  const used = Number(/^used_memory_dataset:(\d+)/m.exec(await redis.info("memory"))?.[1]);
  expect(used).toBeLessThan(24 * MB);
  await redis.flushall();
  await vi.waitFor(
    async () => expect(await guard.check(lane.queue, MANY, job)).toMatchObject({ type: "free" }),
    {
      timeout: 3_000,
    },
  );
});

test("of many jobs that come at once, no more are let in than their lane may hold", async () => {
  const lane = testLane();
  const guard = new CapacityGuard(testRedis("producer"));
  const ask = async (bounds: { jobs: number; bytes: number }): Promise<number> => {
    const asked = await Promise.all(
      Array.from({ length: 50 }, async () => guard.check(lane.queue, bounds, JOB)),
    );
    for (const capacity of asked) if (capacity.type === "free") capacity.written();
    return asked.filter(({ type }) => type === "free").length;
  };
  expect(await ask({ jobs: 7, bytes: MANY_BYTES })).toBe(7);
  expect(await ask({ jobs: 1_000, bytes: 1_200 })).toBeLessThanOrEqual(12);
});

test("room is kept for the answers of jobs that have not ended, of whatever lane", async () => {
  const { lane, guard, pass } = await limited(12 * MB);
  const answers = { atMost: 0.35 * MB };
  const job = { bytes: 100, answerBytes: answers.atMost };
  guard.watch(lane.queue, answers);
  await lane.addMany(10);
  expect(await check(guard, lane.queue, MANY, job)).toMatchObject({ type: "free" });
  await lane.addMany(15);
  pass(1_500);
  expect(await check(guard, lane.queue, MANY, job)).toMatchObject({ type: "full", reason: "redis-memory" });
  // One whose own answer is short does not change what the others are owed.
  expect(await check(guard, lane.queue, MANY, JOB)).toMatchObject({ type: "full" });
});

test("room for answers is kept by what answers take, once that is known, and never for so many that nothing is let in", async () => {
  const { lane, guard, pass } = await limited(16 * MB);
  let learned: number | undefined = 2_000;
  guard.watch(lane.queue, { atMost: 5 * MB, learned: async () => learned });
  await lane.addMany(25);
  expect(await check(guard, lane.queue, MANY, JOB)).toMatchObject({ type: "free" });
  learned = undefined;
  pass(20_000);
  const { lane: large, guard: other } = await limited(256 * MB);
  other.watch(large.queue, { atMost: 50 * MB });
  await large.addMany(25);
  expect(await check(other, large.queue, MANY, JOB)).toMatchObject({ type: "free" });
});

test("what the last reading saw is looked at again soon while there is little left", async () => {
  const { redis, lane, guard, pass } = await limited(16 * MB);
  await fill(redis, 0, 8);
  expect(await check(guard, lane.queue, MANY, JOB)).toMatchObject({ type: "free" });
  await fill(redis, 8, 11);
  pass(150);
  expect(await check(guard, lane.queue, MANY, JOB)).toMatchObject({ type: "full" });
});
