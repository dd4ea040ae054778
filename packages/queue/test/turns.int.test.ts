/** What is fetched next when returned, new and scheduled jobs wait in one lane. */
import { expect, test, vi } from "vitest";
import { FRESH, RETURNED, SCHEDULED } from "../src/priorities.ts";
import { Turns } from "../src/turns.ts";
import { completeAll, testLane, type TestLane } from "./lane.ts";

/** Redis has seen the script: the very first turn of a server comes one fetch late. */
async function loadScript(): Promise<void> {
  const { redis, keys } = testLane();
  const turns = new Turns(redis, keys);
  turns.fetched(RETURNED);
  await turns.next();
}

/** Jobs that came back and are due, without the wait for it: as a promotion leaves them. */
async function returned(lane: TestLane, count: number): Promise<string[]> {
  return withPriority(lane, count, RETURNED);
}

async function withPriority(lane: TestLane, count: number, priority: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push(...(await lane.addMany(Math.min(300, count - ids.length))));
  const { prioritized, jobPrefix } = lane.keys;
  await Promise.all(
    ids.map(async (id) => {
      const counter = Number(await lane.redis.zscore(prioritized, id)) % 2 ** 32;
      await lane.redis.zadd(prioritized, priority * 2 ** 32 + counter, id);
      await lane.redis.hset(jobPrefix + id, "priority", priority);
    }),
  );
  return ids;
}

/** Fetches until all are; their kinds in order, `?` for one that is in no list. */
async function fetchAll(lane: TestLane, kinds: Readonly<Record<string, readonly string[]>>) {
  const total = Object.values(kinds).flat().length;
  const taken: string[] = [];
  await loadScript();
  await lane.startIntake(completeAll(taken));
  await vi.waitUntil(() => taken.length === total, { timeout: 20_000 });
  return taken.map((id) => Object.keys(kinds).find((kind) => kinds[kind]?.includes(id)) ?? "?").join("");
}

test("returned jobs and new ones take turns, returned ones first", async () => {
  const lane = testLane();
  const r = await returned(lane, 6);
  const f = await lane.addMany(3);
  expect(await fetchAll(lane, { r, f })).toBe("rfrfrfrrr");
});

test("a live job does not wait behind thousands that fell due at once", async () => {
  const lane = testLane();
  const herd = await returned(lane, 3_300);
  const taken: string[] = [];
  let live = "";
  const places: number[] = [];
  await lane.startIntake(async (job) => {
    taken.push(job.id);
    if (job.id === live) places.push(taken.length - herdBefore);
    if (taken.length % 100 === 0) await addLive();
    return async () => job.complete({ outcome: "completed" });
  });
  let herdBefore = 0;
  async function addLive(): Promise<void> {
    herdBefore = taken.length;
    live = (await lane.addMany(1))[0] ?? "";
  }
  await vi.waitUntil(() => taken.length >= herd.length / 3, { timeout: 60_000 });
  expect(places.length).toBeGreaterThan(8);
  // The one that is being fetched, and the live one's own place.
  expect(Math.max(...places)).toBeLessThanOrEqual(3);
});

test("scheduled jobs come after new ones, and get every fifth fetch beside a backlog of them", async () => {
  const lane = testLane();
  const s = await withPriority(lane, 3, SCHEDULED);
  const f = await lane.addMany(10);
  expect(await fetchAll(lane, { s, f })).toBe("ffffsffffsffs");
});

test("scheduled jobs have their turns beside both", async () => {
  const lane = testLane();
  const r = await returned(lane, 7);
  const s = await withPriority(lane, 2, SCHEDULED);
  const f = await lane.addMany(6);
  expect(await fetchAll(lane, { r, s, f })).toBe("rfrfrfrfsrfrfrs");
});

test("a job that starts later is scheduled, one that starts now is new", async () => {
  const lane = testLane();
  const [now, later] = [lane.newJob(), lane.newJob()];
  await lane.queue.add(now);
  await lane.queue.add(later, 60_000);
  const priorities = [now, later].map(async ({ id }) =>
    lane.redis.hget(lane.keys.jobPrefix + id, "priority"),
  );
  expect((await Promise.all(priorities)).map(Number)).toEqual([FRESH, SCHEDULED]);
});

test("what is said to be ahead of a job is what is fetched before it", async () => {
  const lane = testLane();
  const ids = [
    ...(await returned(lane, 7)),
    ...(await withPriority(lane, 3, SCHEDULED)),
    ...(await lane.addMany(9)),
  ];
  const ahead = await Promise.all(ids.map(async (id) => lane.queue.ahead(id)));
  const taken: string[] = [];
  await lane.startIntake(completeAll(taken));
  await vi.waitUntil(() => taken.length === ids.length);
  for (const [index, id] of ids.entries()) {
    const off = Math.abs((ahead[index] ?? Infinity) - taken.indexOf(id));
    expect(
      off,
      `${id} of ${index}: ${ahead[index]} ahead, fetched as number ${taken.indexOf(id)}`,
    ).toBeLessThanOrEqual(2);
  }
});
