/** A lane on machines whose clocks are wrong: it goes by the shared one, which here is off from the machine's. */
import { setTimeout as sleep } from "node:timers/promises";
import { NO_NOTES } from "@sluice/job";
import { Queue } from "bullmq";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ownRedis } from "../../services/test/own-redis.ts";
import { Sweeper, type HeldJob } from "../src/index.ts";
import { RETURNED, SCHEDULED } from "../src/priorities.ts";
import { completeAll, LIVES, takeOne, testLane, type TestLane } from "./lane.ts";

const offBy =
  (ms: number): (() => number) =>
  () =>
    Date.now() - ms;

function sweeperOf(lane: TestLane, options: Partial<ConstructorParameters<typeof Sweeper>[0]>): Sweeper {
  const { redis, keySpace, pool, lane: name } = lane;
  const ends = { onExpired: () => {}, onError: () => {} };
  const names = { redis, keySpace, pool, lane: name, clock: Date.now, lives: LIVES };
  const sweeper = new Sweeper({ ...names, ...ends, ...options });
  onTestFinished(async () => sweeper.stop());
  return sweeper;
}

/** How many scripts were called, fetches among them. */
async function scriptsOf(lane: TestLane): Promise<number> {
  const [, calls = 0] = /cmdstat_evalsha:calls=(\d+)/.exec(await lane.redis.info("commandstats")) ?? [];
  return Number(calls);
}

describe.each([20_000, -20_000])("on a machine %i ms ahead", (ahead) => {
  test("a scheduled job starts at its time, and nobody asks in vain until then", async () => {
    const clock = offBy(ahead);
    // Of its own: what others ask a shared one would be counted too.
    const lane = testLane((await ownRedis()).url, clock);
    const job = lane.newJob();
    const dueAt = clock() + 1_500;
    await lane.queue.add(job, 1_500);
    const started = Promise.withResolvers<number>();
    await lane.startIntake(async (held) => {
      started.resolve(clock());
      return async () => held.complete({});
    });
    const before = await scriptsOf(lane);
    const at = await started.promise;
    expect(at).toBeGreaterThanOrEqual(dueAt);
    expect(at).toBeLessThan(dueAt + 3_000);
    expect((await scriptsOf(lane)) - before).toBeLessThan(50);
  });

  test("a retry comes back at its time, and what ends has ended then", async () => {
    const clock = offBy(ahead);
    const lane = testLane(undefined, clock);
    const [id = "", other = ""] = await lane.addMany(2);
    const startedAt: number[] = [];
    const ended = Promise.withResolvers<void>();
    await lane.startIntake(async (held) => {
      if (held.id === other) {
        return async () => held.fail({ kind: "terminal", errorClass: "Test", message: "it" });
      }
      startedAt.push(clock());
      if (held.attemptsStarted === 1) {
        await held.defer({ delayMs: 500, attempt: true });
        return undefined;
      }
      return async () => {
        await held.complete({});
        ended.resolve();
      };
    });
    await ended.promise;
    expect((startedAt[1] ?? 0) - (startedAt[0] ?? 0)).toBeGreaterThanOrEqual(500);
    expect((startedAt[1] ?? 0) - (startedAt[0] ?? 0)).toBeLessThan(3_000);
    const [dead] = await lane.failed.oldest(1);
    const completedAt = Number(await lane.redis.zscore(lane.keys.completed, id));
    for (const at of [dead?.diedAt ?? 0, completedAt]) expect(Math.abs(at - clock())).toBeLessThan(5_000);
  });
});

describe("a job that another program let go before its time", () => {
  test("goes back for the rest, and costs nothing", async () => {
    const lane = testLane();
    const job = lane.newJob();
    await lane.queue.add(job, 2_000);
    const dueAt = Date.now() + 2_000;
    const other = new Queue("pool.standard", { connection: lane.redis, prefix: lane.keySpace });
    onTestFinished(async () => other.close());
    await (await other.getJob(job.id))?.promote();
    expect(await lane.queue.find(job.id)).toMatchObject({ state: "waiting" });
    const taken = Promise.withResolvers<HeldJob>();
    await lane.startIntake(async (held) => {
      taken.resolve(held);
      return async () => held.complete({});
    });
    await vi.waitFor(async () => expect(await lane.queue.find(job.id)).toMatchObject({ state: "delayed" }));
    expect(await lane.redis.hget(lane.keys.jobPrefix + job.id, "priority")).toBe(String(SCHEDULED));
    const held = await taken.promise;
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt - 250);
    expect(held.attemptsMade).toBe(0);
  });

  test("so does a retry, but for one that is brought forward on purpose", async () => {
    const lane = testLane();
    const notes = { ...NO_NOTES, failures: 1, failedAt: Date.now() };
    const ids = await lane.addMany(2);
    let put = 0;
    const { intake } = await lane.startIntake(async (held) => {
      await held.defer({ delayMs: 600_000, attempt: true, reason: "x", notes });
      put += 1;
      return undefined;
    });
    await vi.waitUntil(() => put === 2);
    await intake.stop();
    // Due in ten minutes, as seen six seconds from now.
    const sweeper = sweeperOf(lane, { isIdle: async () => true });
    expect(await sweeper.sweep(Date.now() + 6_000)).toBe(1);
    const [brought = ""] = await lane.redis.zrange(lane.keys.prioritized, 0, "0");
    const early = ids.find((id) => id !== brought) ?? "";
    const other = new Queue("pool.standard", { connection: lane.redis, prefix: lane.keySpace });
    onTestFinished(async () => other.close());
    await (await other.getJob(early))?.promote();
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    await vi.waitFor(async () => expect(await lane.queue.counts()).toMatchObject({ delayed: 1, active: 0 }));
    await vi.waitFor(() => expect(taken).toEqual([brought]));
    expect(await lane.redis.hget(lane.keys.jobPrefix + early, "priority")).toBe(String(RETURNED));
  });
});

test("a clock that was set back makes no job early", async () => {
  let ms = 0;
  const lane = testLane(undefined, () => Date.now() + ms);
  const taken: number[] = [];
  const [id = ""] = await lane.addMany(1);
  ms = -600_000;
  const { intake } = await lane.startIntake(async (held) => {
    taken.push(held.attemptsStarted);
    if (held.attemptsStarted === 1) {
      await held.defer({ delayMs: 50, attempt: true });
      return undefined;
    }
    return async () => held.complete({});
  });
  await vi.waitFor(() => expect(taken).toEqual([1, 2]));
  await intake.settled();
  expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
});

test("a Redis whose clock was set back keeps no job of a dead worker, and no stall check, for as long", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { vanish } = await lane.startIntake(take, { stalledIntervalMs: 100 });
  await job;
  await vanish();
  // What a clock that is set back by ten minutes leaves.
  await lane.redis.pexpire(`${lane.keys.jobPrefix}${id}:lock`, 605_000);
  await lane.redis.set(lane.keys.stalledCheck, "1", "PX", 600_100);
  const lives = { lockMs: 200, stalledIntervalMs: 100 };
  const sweeper = sweeperOf(lane, { lives, everyMs: 50, isTimeKnown: () => false });
  sweeper.start();
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken), { stalledIntervalMs: 100 });
  await vi.waitFor(() => expect(taken).toEqual([id]), 10_000);
});

test("nothing is ended or promoted while clocks are apart", async () => {
  const lane = testLane();
  const job = lane.newJob({ deadlineAt: Date.now() - 10_000 });
  await lane.queue.add(job);
  await lane.queue.add(lane.newJob(), 1);
  let apart = true;
  const sweeper = sweeperOf(lane, { isTimeKnown: () => !apart });
  expect(await sweeper.sweep(Date.now() + 5_000)).toBe(0);
  expect(await lane.failed.size()).toBe(0);
  apart = false;
  expect(await sweeper.sweep(Date.now() + 5_000)).toBe(2);
});

test("a machine whose clock is set back keeps the locks of its jobs", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  const { lost } = await lane.startIntake(take, { inHandMs: 500, callMs: 500, stalledIntervalMs: 100 });
  await job;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  // Longer than the lock would last.
  await sleep(1_200);
  expect(await lane.redis.pttl(`${lane.keys.jobPrefix}${id}:lock`)).toBeGreaterThan(0);
  expect(lost).toEqual([]);
});
