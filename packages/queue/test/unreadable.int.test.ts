/** Jobs of a lane that cannot be read: each ends at once, in the failed set, and holds up nobody. */
import { expect, test, vi } from "vitest";
import { requeueLost } from "../src/lost.ts";
import { completeAll, testLane, type TestLane } from "./lane.ts";

/** Ways in which what Redis holds of a waiting job can be damaged. */
type Damage = (lane: TestLane, id: string) => Promise<unknown>;

const DAMAGE: Readonly<Record<string, Damage>> = {
  "data that is no JSON": async ({ redis, keys }, id) => redis.hset(keys.jobPrefix + id, "data", '{"half'),
  "options that are no JSON": async ({ redis, keys }, id) => redis.hset(keys.jobPrefix + id, "opts", "{,}"),
  "options that are no object": async ({ redis, keys }, id) =>
    redis.hset(keys.jobPrefix + id, "opts", "null"),
  "progress that is no JSON": async ({ redis, keys }, id) =>
    redis.hset(keys.jobPrefix + id, "progress", "half"),
  "a parent that is no JSON": async ({ redis, keys }, id) =>
    redis.hset(keys.jobPrefix + id, "parent", "half"),
  "a counter that no script can add to": async ({ redis, keys }, id) =>
    redis.hset(keys.jobPrefix + id, "ats", "many"),
  "a counter that only begins as a number": async ({ redis, keys }, id) =>
    redis.hset(keys.jobPrefix + id, "atm", "1.5", "stc", ""),
  "a key that is no hash": async ({ redis, keys }, id) => {
    await redis.del(keys.jobPrefix + id);
    await redis.set(keys.jobPrefix + id, "text");
  },
};

test.each(Object.entries(DAMAGE))(
  "a job with %s is in the failed set at once, and what can be kept of it is",
  async (_, damage) => {
    const lane = testLane();
    const [bad = "", good = ""] = await lane.addMany(2);
    await damage(lane, bad);
    const taken: string[] = [];
    const { errors } = await lane.startIntake(completeAll(taken));
    await vi.waitFor(() => expect(taken).toEqual([good]), { timeout: 4_000, interval: 20 });
    expect(errors).toEqual([]);
    const failed = await lane.failed.oldest(10);
    expect(failed).toMatchObject([{ id: bad, failure: { kind: "terminal", errorClass: "MalformedJob" } }]);
    // Whoever lists the lane's failed jobs can read it.
    expect(await lane.queue.find(bad)).toMatchObject({ state: "failed" });
    expect(await lane.queue.counts()).toMatchObject({ active: 0, failed: 1 });
    expect(await lane.redis.zscore(lane.keys.deadlines, bad)).toBeNull();
  },
);

/** Adds jobs that start so long from now. */
async function addDelayed(lane: TestLane, count: number, delayMs: number): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => lane.newJob());
  for (const job of jobs) await lane.queue.add(job, delayMs);
  return jobs.map(({ id }) => id);
}

test.each(Object.entries(DAMAGE))(
  "a delayed job with %s takes none of those with it that fall due beside it",
  async (_, damage) => {
    const lane = testLane();
    const ids = await addDelayed(lane, 10, 20);
    const bad = ids[3] ?? "";
    await damage(lane, bad);
    const taken: string[] = [];
    const unreadable: string[] = [];
    const { errors } = await lane.startIntake(completeAll(taken), {
      onUnreadable: (id) => unreadable.push(id),
    });
    await vi.waitFor(() => expect(taken).toHaveLength(9), { timeout: 4_000, interval: 20 });
    await vi.waitFor(() => expect(unreadable).toEqual([bad]));
    expect(taken.toSorted()).toEqual(ids.filter((id) => id !== bad).toSorted());
    expect(errors).toEqual([]);
    expect(await lane.failed.oldest(10)).toMatchObject([
      { id: bad, failure: { kind: "terminal", errorClass: "MalformedJob" } },
    ]);
    expect(await lane.redis.zscore(lane.keys.deadlines, bad)).toBeNull();
  },
);

test("jobs that a promotion which broke off has left in no set run all the same", async () => {
  const lane = testLane();
  const lost = await addDelayed(lane, 600, 20);
  // As a version that looks at nothing before it promotes.
  await lane.redis.zrem(lane.keys.delayed, ...lost);
  await lane.redis.set(`${lane.keys.jobPrefix}bad`, "text");
  expect(await requeueLost(lane.redis, lane.keys)).toBe(600);
  expect(await requeueLost(lane.redis, lane.keys)).toBe(0);
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken));
  await vi.waitFor(() => expect(taken).toHaveLength(600), { timeout: 8_000, interval: 20 });
});

test("data that is no JSON is kept as a text", async () => {
  const lane = testLane();
  const [bad = ""] = await lane.addMany(1);
  await lane.redis.hset(lane.keys.jobPrefix + bad, "data", '{"half');
  await lane.startIntake(completeAll());
  await vi.waitFor(async () => expect(await lane.failed.oldest(1)).toMatchObject([{ data: '{"half' }]));
});

test("40 of them hold up none of 100 others", async () => {
  const lane = testLane();
  const ids = await lane.addMany(140);
  const bad = ids.filter((_, index) => index % 7 < 2);
  await Promise.all(bad.map(async (id) => lane.redis.hset(lane.keys.jobPrefix + id, "data", "{")));
  const taken: string[] = [];
  const unreadable: string[] = [];
  const startedAt = Date.now();
  await lane.startIntake(completeAll(taken), { onUnreadable: (id) => unreadable.push(id) });
  await vi.waitFor(() => expect(taken).toHaveLength(100), { timeout: 10_000, interval: 20 });
  expect(Date.now() - startedAt).toBeLessThan(5_000);
  expect(unreadable.toSorted()).toEqual(bad.toSorted());
});

test("an id without a job is a job that cannot be read, for whoever takes it", async () => {
  const lane = testLane();
  const [gone = ""] = await lane.addMany(1);
  await lane.redis.del(lane.keys.jobPrefix + gone);
  const { errors } = await lane.startIntake(async (job) => {
    expect(job.data).toEqual({});
    await job.fail({ kind: "terminal", errorClass: "MalformedJob", message: "no" });
    return undefined;
  });
  await vi.waitFor(async () => expect(await lane.failed.size()).toBe(1), { timeout: 4_000, interval: 20 });
  expect(errors).toEqual([]);
  expect(await lane.failed.oldest(1)).toMatchObject([{ id: gone, failure: { errorClass: "MalformedJob" } }]);
});

test("a waiting job whose data is no JSON can be asked for: it is told where it is", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  await lane.redis.hset(lane.keys.jobPrefix + id, "data", "{", "opts", "{");
  expect(await lane.queue.find(id)).toEqual({
    state: "waiting",
    data: undefined,
    attemptsMade: 0,
    fetched: 0,
    stalls: 0,
  });
});
