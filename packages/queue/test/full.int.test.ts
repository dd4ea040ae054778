/** A lane on a Redis that has reached its `maxmemory`: what is in hand ends, and what ends makes room. */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { expect, test, vi } from "vitest";
import { ownRedis } from "../../services/test/own-redis.ts";
import { Sweeper, type HeldJob } from "../src/index.ts";
import { completeAll, LIVES, takeOne, testLane, type TestLane } from "./lane.ts";

const KB = 1_024;

/** Sets the limit to what is used now, without what connections hold for a moment. */
async function full(redis: Redis): Promise<void> {
  const memory = await redis.info("memory");
  const [used = 0, clients = 0] = ["used_memory", "mem_clients_normal"].map((field) =>
    Number(new RegExp(`^${field}:(\\d+)`, "m").exec(memory)?.[1]),
  );
  await redis.config("SET", "maxmemory", Math.round((used - clients) * 0.98));
  await expect(redis.set("filler", "x")).rejects.toThrow("OOM");
}

/** In small pieces: what a connection has just read takes room too, for a while. Resolves to what gives the room back. */
async function takeRoom(redis: Redis, bytes: number): Promise<() => Promise<unknown>> {
  const keys = Array.from({ length: bytes / (64 * KB) }, (_, index) => `answer-${index}`);
  for (const key of keys) await redis.set(key, randomBytes(64 * KB));
  return async () => redis.del(keys);
}

function longJob(lane: TestLane, bytes: number) {
  const base64 = randomBytes(Math.round((bytes * 3) / 4)).toString("base64");
  return lane.newJob({ payload: { encoding: "gzip", base64 } });
}

async function ownLane(): Promise<TestLane> {
  const { url } = await ownRedis();
  return testLane(url);
}

test("a job that completes lets go of its request in that step, and is job data still", async () => {
  const lane = await ownLane();
  const job = longJob(lane, 600 * KB);
  await lane.queue.add(job);
  const { intake } = await lane.startIntake(completeAll());
  await vi.waitFor(async () => expect(await lane.queue.find(job.id)).toMatchObject({ state: "completed" }));
  await intake.settled();
  const found = await lane.queue.find(job.id);
  expect(found?.data).toEqual({ ...job, payload: { encoding: "json", json: "null" } });
});

test("a call that ends on a full Redis completes its job, whose lock has been kept", async () => {
  const lane = await ownLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { lost } = await lane.startIntake(take, { inHandMs: 1_000, callMs: 1_000 });
  const held = await job;
  await full(lane.redis);
  const lock = `${lane.keys.jobPrefix}${id}:lock`;
  // More than twice as long as the lock lives without its keeper.
  const until = Date.now() + 2_200;
  await vi.waitUntil(
    async () => {
      expect(await lane.redis.pttl(lock)).toBeGreaterThan(0);
      return Date.now() > until;
    },
    { timeout: 4_000, interval: 50 },
  );
  await held.complete({});
  expect(lost).toEqual([]);
  expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
});

test("jobs that fill Redis are drained by a worker that starts then, the first of them first", async () => {
  const lane = await ownLane();
  const jobs = Array.from({ length: 12 }, () => longJob(lane, 200 * KB));
  for (const job of jobs) await lane.queue.add(job);
  await full(lane.redis);
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken), { slots: 4 });
  await vi.waitFor(() => expect(taken).toHaveLength(jobs.length), { timeout: 8_000, interval: 50 });
  const ids = jobs.map(({ id }) => id);
  expect(taken.slice(0, 6)).toEqual(ids.slice(0, 6));
  expect(taken.toSorted()).toEqual(ids.toSorted());
});

test("a job of a worker that vanished on a full Redis is taken by another", async () => {
  const lane = await ownLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { vanish } = await lane.startIntake(take, { inHandMs: 300, callMs: 300, stalledIntervalMs: 200 });
  await job;
  await full(lane.redis);
  await vanish();
  const taken: HeldJob[] = [];
  await lane.startIntake(
    async (held) => {
      taken.push(held);
      return async () => held.complete({});
    },
    { stalledIntervalMs: 200 },
  );
  await vi.waitFor(() => expect(taken).toHaveLength(1), { timeout: 8_000, interval: 50 });
  expect(taken[0]).toMatchObject({ id, stalls: 1 });
});

test("a lane that has no job is no trouble on a full Redis, and takes the first that comes", async () => {
  const lane = await ownLane();
  const makeRoom = await takeRoom(lane.redis, 16 * KB * KB);
  await full(lane.redis);
  const taken: string[] = [];
  const { errors } = await lane.startIntake(completeAll(taken));
  // A fetch was refused.
  await vi.waitFor(async () => expect(await lane.redis.exists(lane.keys.stalledCheck)).toBe(1));
  await makeRoom();
  const [id] = await lane.addMany(1);
  await vi.waitFor(() => expect(taken).toEqual([id]), { timeout: 8_000, interval: 50 });
  // BullMQ's stall check is refused too, and says so.
  expect(errors.length).toBeLessThanOrEqual(1);
});

test("what fills Redis beyond the overdraft is left, and the lane goes on by itself once there is room", async () => {
  const lane = await ownLane();
  await lane.addMany(20);
  const makeRoom = await takeRoom(lane.redis, 16 * KB * KB);
  await full(lane.redis);
  const used = Number((await lane.redis.config("GET", "maxmemory"))[1]);
  await lane.redis.config("SET", "maxmemory", Math.round(used * 0.8));
  const taken: string[] = [];
  const { errors } = await lane.startIntake(completeAll(taken), { slots: 4 });
  await vi.waitFor(() => expect(errors.length).toBeGreaterThan(0), { timeout: 4_000 });
  expect(taken).toEqual([]);
  await makeRoom();
  await vi.waitFor(() => expect(taken).toHaveLength(20), { timeout: 8_000, interval: 50 });
});

test("a sweep drops completed jobs that hold their requests still, and old ones", async () => {
  const lane = await ownLane();
  const [kept = "", old = "", long = ""] = await lane.addMany(3);
  const { intake } = await lane.startIntake(completeAll());
  await vi.waitFor(async () => expect(await lane.redis.zcard(lane.keys.completed)).toBe(3));
  await intake.settled();
  await lane.redis.hset(lane.keys.jobPrefix + long, "data", "x".repeat(600 * KB));
  await lane.redis.zadd(lane.keys.completed, Date.now() - 3_700_000, old);
  await full(lane.redis);
  const sweeper = new Sweeper({
    redis: lane.redis,
    keySpace: lane.keySpace,
    pool: lane.pool,
    lane: lane.lane,
    clock: Date.now,
    lives: LIVES,
    onExpired: () => {},
    onError: () => {},
  });
  await sweeper.sweep();
  await sweeper.stop();
  expect(await lane.redis.zrange(lane.keys.completed, 0, "-1")).toEqual([kept]);
  expect(await lane.redis.exists(lane.keys.jobPrefix + long, lane.keys.jobPrefix + old)).toBe(0);
});

test("a started async call is named in its job on a full Redis, for whoever has the job next", async () => {
  const lane = await ownLane();
  const [id = ""] = await lane.addMany(1);
  const times = { inHandMs: 300, callMs: 300, stalledIntervalMs: 200 };
  const { take, job } = takeOne();
  const { vanish } = await lane.startIntake(take, times);
  const held = await job;
  expect(await held.invocation()).toBeUndefined();
  await full(lane.redis);
  const invocation = { arn: "arn:aws:bedrock:async-invoke/abc", startedAt: 1_800_000_000_000 };
  await held.keepInvocation(invocation);
  await vanish();
  const next = takeOne();
  await lane.startIntake(next.take, times);
  const again = await next.job;
  expect(again.id).toBe(id);
  expect(await again.invocation()).toEqual(invocation);
});

test("a job that is gone does not come back as a hash when its started call is named", async () => {
  const lane = await ownLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  await lane.startIntake(take);
  const held = await job;
  await lane.redis.del(lane.keys.jobPrefix + id);
  await held.keepInvocation({ arn: "arn:aws:bedrock:async-invoke/abc", startedAt: 1 });
  expect(await lane.redis.exists(lane.keys.jobPrefix + id)).toBe(0);
});
