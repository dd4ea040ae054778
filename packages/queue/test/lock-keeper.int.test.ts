import { expect, test, vi } from "vitest";
import { takeOne, testLane } from "./lane.ts";

test("a call longer than its lock keeps its job: nobody else gets it", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const short = { inHandMs: 250, callMs: 250, stalledIntervalMs: 100 };
  const { lost } = await lane.startIntake(take, short);
  const held = await job;
  const others: string[] = [];
  await lane.startIntake(async (other) => {
    others.push(other.id);
    return async () => other.complete({});
  }, short);
  // A second job that is taken, finished and forgotten many locks later says that the time has passed.
  const until = Date.now() + 1_000;
  await vi.waitUntil(
    async () => {
      const left = await lane.redis.pttl(`${lane.keys.jobPrefix}${id}:lock`);
      expect(left).toBeGreaterThan(0);
      return Date.now() > until;
    },
    { timeout: 3_000, interval: 25 },
  );
  expect(others).toEqual([]);
  await held.complete({});
  expect(lost).toEqual([]);
  expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
});

test("a job in hand has the short lock, and the long one as soon as its call starts", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const lockLeft = async (): Promise<number> => lane.redis.pttl(`${lane.keys.jobPrefix}${id}:lock`);
  const grant = Promise.withResolvers<undefined>();
  const end = Promise.withResolvers<undefined>();
  const { intake } = await lane.startIntake(
    async (job) => {
      await grant.promise;
      return async () => {
        await end.promise;
        await job.complete({});
      };
    },
    { inHandMs: 5_000, callMs: 60_000 },
  );
  await vi.waitUntil(async () => (await lockLeft()) > 0);
  expect(await lockLeft()).toBeLessThanOrEqual(5_000);
  grant.resolve(undefined);
  // Well before the timer of the keeper would look at it again, after 1 s.
  await vi.waitUntil(async () => (await lockLeft()) > 50_000, { timeout: 900 });
  end.resolve(undefined);
  await intake.settled();
  expect(await lockLeft()).toBe(-2);
});

test("a lock that is not ours any more is told once, and the run goes on", async () => {
  const lane = testLane();
  const [id = "", other = ""] = await lane.addMany(2);
  const runs: string[] = [];
  const end = Promise.withResolvers<undefined>();
  const { lost, intake } = await lane.startIntake(
    async (job) => async () => {
      runs.push(job.id);
      await end.promise;
    },
    { slots: 2, inHandMs: 200, callMs: 200 },
  );
  await vi.waitUntil(() => runs.length === 2);
  await lane.redis.set(`${lane.keys.jobPrefix}${id}:lock`, "somebody else's");
  await vi.waitUntil(() => lost.length > 0);
  expect(lost.map((job) => job.id)).toEqual([id]);
  expect(intake.running).toBe(2);
  // The neighbour's lock was renewed in the same batch, and is renewed again.
  await lane.redis.pexpire(`${lane.keys.jobPrefix}${other}:lock`, 100);
  await vi.waitUntil(async () => (await lane.redis.pttl(`${lane.keys.jobPrefix}${other}:lock`)) > 150);
  expect(lost).toHaveLength(1);
  end.resolve(undefined);
});

test("a lock is not renewed after the run ended without ending its job", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job, release } = takeOne();
  const { intake } = await lane.startIntake(take, { inHandMs: 200, callMs: 200 });
  await job;
  release();
  await intake.settled();
  await vi.waitUntil(async () => (await lane.redis.exists(`${lane.keys.jobPrefix}${id}:lock`)) === 0);
  expect(await lane.queue.find(id)).toMatchObject({ state: "active" });
});

test("a lock that ran out while its job is in hand is taken again, so no stall check gives the job away", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { lost } = await lane.startIntake(take, { inHandMs: 400, callMs: 400, stalledIntervalMs: 300_000 });
  const held = await job;
  // As when Redis's clock is set forward: it has run out for Redis, and for nobody else.
  await lane.redis.del(`${lane.keys.jobPrefix}${id}:lock`);
  await vi.waitUntil(async () => (await lane.redis.exists(`${lane.keys.jobPrefix}${id}:lock`)) === 1);
  await held.complete({});
  expect(lost).toEqual([]);
  expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
});

test("a lock that ran out of a job that was given back meanwhile is lost", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job, release } = takeOne();
  const { lost } = await lane.startIntake(take, { inHandMs: 400, callMs: 400, stalledIntervalMs: 300_000 });
  await job;
  await lane.redis
    .multi()
    .lrem(lane.keys.active, 1, id)
    .lpush(lane.keys.wait, id)
    .del(`${lane.keys.jobPrefix}${id}:lock`)
    .exec();
  await vi.waitUntil(() => lost.length > 0);
  expect(await lane.redis.exists(`${lane.keys.jobPrefix}${id}:lock`)).toBe(0);
  release();
});
