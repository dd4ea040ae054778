/** Jobs of a lane that cannot be read: each ends at once, in the failed set, and holds up nobody. */
import { expect, test, vi } from "vitest";
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
