import { NO_NOTES, type Notes } from "@sluice/job";
import { expect, onTestFinished, test, vi } from "vitest";
import { Sweeper, type SweeperOptions } from "../src/index.ts";
import { completeAll, LIVES, takeOne, testLane, type TestLane } from "./lane.ts";

const PAST = Date.now() - 1_000;

function sweeperOf(
  lane: TestLane,
  settings: Partial<SweeperOptions> = {},
): { sweeper: Sweeper; expired: string[]; errors: unknown[] } {
  const expired: string[] = [];
  const errors: unknown[] = [];
  const { keySpace, pool, lane: name, redis } = lane;
  const sweeper = new Sweeper({
    redis,
    keySpace,
    pool,
    lane: name,
    everyMs: 20,
    clock: Date.now,
    lives: LIVES,
    onExpired: (id) => expired.push(id),
    onError: (error) => errors.push(error),
    ...settings,
  });
  onTestFinished(async () => sweeper.stop());
  return { sweeper, expired, errors };
}

/** A job that an intake had and put off for so long. */
async function deferred(
  lane: TestLane,
  delayMs: number,
  deadlineAt?: number,
  notes: Notes = NO_NOTES,
): Promise<string> {
  const job = lane.newJob(deadlineAt === undefined ? {} : { deadlineAt });
  await lane.queue.add(job);
  const { take, job: taken } = takeOne();
  const { intake } = await lane.startIntake(take);
  await (await taken).defer({ delayMs, attempt: false, notes });
  await intake.stop();
  return job.id;
}

const deadline = {
  kind: "terminal",
  errorClass: "DeadlineExceeded",
  message: "The deadline passed",
};

test("a waiting job past its deadline ends in the failed set, and says so; others stay", async () => {
  const lane = testLane();
  const late = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(late);
  const [inTime = ""] = await lane.addMany(1);
  const { sweeper, expired } = sweeperOf(lane);
  const now = Date.now();
  expect(await sweeper.sweep(now)).toBe(1);
  expect(expired).toEqual([late.id]);
  expect(await lane.failed.oldest(5)).toEqual([
    { id: late.id, data: late, failure: deadline, attempts: 0, stalls: 0, fetched: 0, diedAt: now },
  ]);
  expect(await lane.queue.find(late.id)).toMatchObject({ state: "failed" });
  expect(await lane.queue.find(inTime)).toMatchObject({ state: "waiting" });
  expect(await sweeper.sweep()).toBe(0);
});

test("a job with a grace ends when that is over too", async () => {
  const lane = testLane();
  const job = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(job, 1_000, 60_000);
  const { sweeper, expired } = sweeperOf(lane);
  await sweeper.sweep(PAST + 59_999);
  expect(expired).toEqual([]);
  await sweeper.sweep(PAST + 60_000);
  expect(expired).toEqual([job.id]);
});

test("a delayed job past its deadline ends too", async () => {
  const lane = testLane();
  const id = await deferred(lane, 60_000, PAST);
  const { sweeper, expired } = sweeperOf(lane);
  await sweeper.sweep();
  expect(expired).toEqual([id]);
  expect(await lane.queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 1 });
});

test("a job that an outage has kept from its answer ends under the name of the outage", async () => {
  const lane = testLane();
  const last = { kind: "transient", errorClass: "ServiceUnavailableException", message: "Gone" } as const;
  await deferred(lane, 60_000, PAST, { ...NO_NOTES, failures: 3, last });
  await sweeperOf(lane).sweeper.sweep();
  expect(await lane.failed.oldest(5)).toMatchObject([
    {
      failure: {
        errorClass: "ServiceUnavailableException",
        message: "The deadline passed. The last call: Gone",
      },
    },
  ]);
});

test("where nobody serves the lane jobs of vanished workers are given back, at no slower pace than who serves it has", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { vanish } = await lane.startIntake(take);
  await job;
  await vanish();
  await lane.redis.del(`${lane.keys.jobPrefix}${id}:lock`, lane.keys.stalledCheck);
  const lives = { ...LIVES, stalledIntervalMs: 5_000 };
  const { sweeper } = sweeperOf(lane, { recovers: true, lives });
  const now = Date.now();
  await sweeper.sweep(now);
  expect(await lane.redis.pttl(lane.keys.stalledCheck)).toBeLessThanOrEqual(5_000);
  await lane.redis.del(lane.keys.stalledCheck);
  await sweeper.sweep(now + 5_000);
  expect(await lane.queue.find(id)).toMatchObject({ state: "waiting", stalls: 1 });
});

test("a job that a vanished worker left in the wait list ends too", async () => {
  const lane = testLane();
  const job = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(job);
  await lane.redis.zrem(lane.keys.prioritized, job.id);
  await lane.redis.rpush(lane.keys.wait, job.id);
  const { sweeper, expired } = sweeperOf(lane);
  await sweeper.sweep();
  expect(expired).toEqual([job.id]);
  expect(await lane.queue.counts()).toMatchObject({ waiting: 0, failed: 1 });
});

test("an active job past its deadline is left to its worker", async () => {
  const lane = testLane();
  const job = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(job);
  const { take, job: taken } = takeOne();
  await lane.startIntake(take);
  const held = await taken;
  const { sweeper } = sweeperOf(lane);
  expect(await sweeper.sweep()).toBe(0);
  expect(await lane.queue.find(job.id)).toMatchObject({ state: "active" });
  await held.complete({});
  expect(await lane.queue.find(job.id)).toMatchObject({ state: "completed" });
});

test("a job whose key is no hash holds up no deadline and no promotion of its lane", async () => {
  const lane = testLane();
  const [bad, late] = [lane.newJob({ deadlineAt: PAST - 10 }), lane.newJob({ deadlineAt: PAST })];
  for (const job of [bad, late]) await lane.queue.add(job);
  const [soon, overdue] = [lane.newJob(), lane.newJob()];
  for (const job of [soon, overdue]) await lane.queue.add(job, 10_000);
  for (const { id } of [bad, soon]) {
    await lane.redis.del(lane.keys.jobPrefix + id);
    await lane.redis.set(lane.keys.jobPrefix + id, "text");
  }
  const { sweeper, expired } = sweeperOf(lane);
  await sweeper.sweep(Date.now() + 20_000);
  expect(expired).toEqual([bad.id, late.id]);
  expect((await lane.failed.oldest(5)).map(({ id }) => id).toSorted()).toEqual(
    [bad.id, late.id, soon.id].toSorted(),
  );
  expect(await lane.queue.find(overdue.id)).toMatchObject({ state: "waiting" });
});

test("a job past its deadline that is in no list and no set ends too", async () => {
  const lane = testLane();
  const job = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(job, 1_000);
  await lane.redis.zrem(lane.keys.delayed, job.id);
  const { sweeper, expired } = sweeperOf(lane);
  expect(await sweeper.sweep()).toBe(1);
  expect(expired).toEqual([job.id]);
  expect(await lane.failed.oldest(5)).toMatchObject([{ id: job.id, data: job, failure: deadline }]);
});

test("an expired job never runs", async () => {
  const lane = testLane();
  await lane.queue.add(lane.newJob({ deadlineAt: PAST }));
  await sweeperOf(lane).sweeper.sweep();
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken));
  const [next = ""] = await lane.addMany(1);
  await vi.waitUntil(() => taken.length > 0);
  expect(taken).toEqual([next]);
});

test("deadlines of jobs that are gone or have ended are forgotten", async () => {
  const lane = testLane();
  await lane.redis.zadd(lane.keys.deadlines, PAST, "never-added");
  const job = lane.newJob({ deadlineAt: PAST });
  await lane.queue.add(job);
  await lane.startIntake(completeAll());
  await vi.waitUntil(async () => (await lane.redis.zcard(lane.keys.deadlines)) === 1);
  // As if the worker had died between the two.
  await lane.redis.zadd(lane.keys.deadlines, PAST, job.id);
  const { sweeper, expired } = sweeperOf(lane);
  expect(await sweeper.sweep()).toBe(0);
  expect(expired).toEqual([]);
  expect(await lane.redis.zcard(lane.keys.deadlines)).toBe(0);
});

test("an overdue delayed job is promoted although no intake fetches; one not overdue stays", async () => {
  const lane = testLane();
  const overdue = await deferred(lane, 10_000);
  const later = await deferred(lane, 60_000);
  const { sweeper } = sweeperOf(lane);
  expect(await sweeper.sweep(Date.now() + 20_000)).toBe(1);
  expect(await lane.queue.find(overdue)).toMatchObject({ state: "waiting" });
  expect(await lane.queue.find(later)).toMatchObject({ state: "delayed" });
});

test("sweepers of several workers do not disturb each other", async () => {
  const lane = testLane();
  const jobs = Array.from({ length: 100 }, () => lane.newJob({ deadlineAt: PAST }));
  await Promise.all(jobs.map(async (job) => lane.queue.add(job)));
  const sweepers = [sweeperOf(lane), sweeperOf(lane), sweeperOf(lane)];
  for (const { sweeper } of sweepers) sweeper.start();
  await vi.waitUntil(async () => (await lane.failed.size()) === 100, 10_000);
  const expired = sweepers.flatMap((each) => each.expired);
  expect(expired.toSorted()).toEqual(jobs.map((job) => job.id).toSorted());
  expect(sweepers.flatMap((each) => each.errors)).toEqual([]);
});
