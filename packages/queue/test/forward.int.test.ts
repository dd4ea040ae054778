/** Retries that wait beside an idle pool come sooner, a few at a time, and nothing else does. */
import { NO_NOTES, type Notes } from "@sluice/job";
import { expect, onTestFinished, test } from "vitest";
import { Sweeper } from "../src/index.ts";
import { completeAll, LIVES, testLane, type TestLane } from "./lane.ts";

const IN_TWO_MINUTES = 120_000;

function fail(error: unknown): void {
  throw error;
}

function sweeperOf({ keySpace, pool, lane, redis }: TestLane, idle = true): Sweeper {
  const isIdle = async (): Promise<boolean> => idle;
  const names = { redis, keySpace, pool, lane, clock: Date.now, lives: LIVES };
  const sweeper = new Sweeper({ ...names, isIdle, onExpired: () => {}, onError: fail });
  onTestFinished(async () => sweeper.stop());
  return sweeper;
}

/** Jobs that an intake had and put off for two minutes, one after another; `undefined` notes: for another reason. */
async function putOff(lane: TestLane, all: readonly (Partial<Notes> | undefined)[]): Promise<string[]> {
  const ids = await lane.addMany(all.length);
  const done = Promise.withResolvers<undefined>();
  let taken = 0;
  const { intake } = await lane.startIntake(async (job) => {
    const notes = all[ids.indexOf(job.id)];
    const failed = { reason: "x", notes: { ...NO_NOTES, failures: 1, failedAt: Date.now(), ...notes } };
    await job.defer({ delayMs: IN_TWO_MINUTES, attempt: true, ...(notes === undefined ? {} : failed) });
    if (++taken === all.length) done.resolve(undefined);
    return undefined;
  });
  await done.promise;
  await intake.stop();
  return ids;
}

async function waiting(lane: TestLane, ids: readonly string[]): Promise<number[]> {
  const found = await Promise.all(ids.map(async (id) => lane.queue.find(id)));
  return found.flatMap((job, index) => (job?.state === "waiting" ? [index] : []));
}

test("a retry of an idle pool waits its first back-off, not two minutes", async () => {
  const lane = testLane();
  const ids = await putOff(lane, [{}]);
  const now = Date.now();
  const sweeper = sweeperOf(lane);
  expect(await sweeper.sweep(now + 1_000)).toBe(0);
  expect(await sweeper.sweep(now + 6_000)).toBe(1);
  expect(await waiting(lane, ids)).toEqual([0]);
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken));
  await expect.poll(() => taken).toEqual(ids);
});

test("a retry that was put off before the clock was set back comes as soon as the pool is idle", async () => {
  const lane = testLane();
  const ids = await putOff(lane, [{}]);
  expect(await sweeperOf(lane).sweep(Date.now() - 25_000)).toBe(1);
  expect(await waiting(lane, ids)).toEqual([0]);
});

test("beside a pool that is not idle it waits", async () => {
  const lane = testLane();
  await putOff(lane, [{}]);
  expect(await sweeperOf(lane, false).sweep(Date.now() + 6_000)).toBe(0);
});

test("the fleet brings one forward, a second later two, then four; who asks again too soon gets none", async () => {
  const lane = testLane();
  await putOff(
    lane,
    Array.from({ length: 12 }, () => ({})),
  );
  const sweepers = [sweeperOf(lane), sweeperOf(lane), sweeperOf(lane)];
  // What is brought forward is fetched at once: nobody waits when the next are asked for.
  const fetchAll = async (): Promise<void> => void (await lane.redis.del(lane.keys.prioritized));
  const start = Date.now() + 6_000;
  const moved: number[] = [];
  for (let second = 0; second < 4; second++) {
    const sweeps = sweepers.map(async (each) => each.sweep(start + second * 1_000));
    // oxlint-disable-next-line no-await-in-loop -- second by second
    moved.push((await Promise.all(sweeps)).reduce((sum, count) => sum + count));
    // oxlint-disable-next-line no-await-in-loop -- as above
    await fetchAll();
  }
  expect(moved).toEqual([1, 2, 4, 5]);
});

test("the pace begins anew after a while without", async () => {
  const lane = testLane();
  await putOff(lane, [{}, {}, {}]);
  const sweeper = sweeperOf(lane);
  expect(await sweeper.sweep(Date.now() + 6_000)).toBe(1);
  await lane.redis.del(lane.keys.prioritized);
  expect(await lane.redis.pttl(lane.keys.forwardPace)).toBeGreaterThan(0);
  await lane.redis.del(lane.keys.forwardPace);
  expect(await sweeper.sweep(Date.now() + 10_000)).toBe(1);
});

test("nothing comes sooner while a job of the lane waits its turn", async () => {
  const lane = testLane();
  await putOff(lane, [{}]);
  await lane.addMany(1);
  expect(await sweeperOf(lane).sweep(Date.now() + 6_000)).toBe(0);
});

test("a start that was asked for, a job kept apart and one put off without a failure keep their time", async () => {
  const lane = testLane();
  const scheduled = lane.newJob();
  await lane.queue.add(scheduled, IN_TWO_MINUTES);
  const earlier = Date.now() - 60_000;
  const ids = await putOff(lane, [{ apart: true }, undefined, { failedAt: earlier }, {}]);
  await lane.redis.hset(lane.keys.jobPrefix + (ids[1] ?? ""), "sluice:notes", "no JSON");
  expect(await sweeperOf(lane).sweep(Date.now() + 6_000)).toBe(1);
  expect(await waiting(lane, [scheduled.id, ...ids])).toEqual([4]);
});
