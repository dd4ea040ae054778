/** A job at whose key another type stands: whoever reads its lane reads the others, and sees that it is there. */
import { queueName } from "@sluice/job";
import { Queue } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { LaneListing } from "../src/index.ts";
import { testLane, type TestLane } from "./lane.ts";

/** Two waiting and two delayed jobs, one of each without a hash. */
async function damagedLane(): Promise<{ lane: TestLane; ids: readonly string[]; bad: readonly string[] }> {
  const lane = testLane();
  const jobs = Array.from({ length: 4 }, () => lane.newJob());
  for (const [index, job] of jobs.entries()) await lane.queue.add(job, index < 2 ? 0 : 60_000);
  const ids = jobs.map(({ id }) => id);
  const bad = ids.filter((_, index) => index % 2 === 0);
  for (const id of bad) await overwrite(lane, id);
  return { lane, ids, bad };
}

async function overwrite(lane: TestLane, id: string): Promise<void> {
  await lane.redis.del(lane.keys.jobPrefix + id);
  await lane.redis.set(lane.keys.jobPrefix + id, "text");
}

test("a page of the lane lists it beside the others, and it can be opened", async () => {
  const { lane, ids, bad } = await damagedLane();
  const queue = new Queue(queueName(lane.pool, lane.lane), { connection: lane.redis, prefix: lane.keySpace });
  onTestFinished(async () => queue.close());
  const listing = new LaneListing(queue, lane.redis);
  const page = await listing.page(["prioritized", "delayed"], 0, 10);
  expect(page.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect(page.filter(({ dataBytes }) => dataBytes === 0).map(({ id }) => id)).toEqual(bad);
  expect(await listing.open(bad[0] ?? "")).toMatchObject({ state: "prioritized", data: undefined });
});

test("the room of the lane is judged by the others", async () => {
  const { lane } = await damagedLane();
  expect(await lane.queue.waitingBytes()).toBeGreaterThan(0);
});

test("it is found where it is, with nothing of it", async () => {
  const { lane, bad } = await damagedLane();
  const nothing = { data: undefined, attemptsMade: 0, fetched: 0, stalls: 0 };
  expect(await lane.queue.find(bad[0] ?? "")).toEqual({ state: "waiting", ...nothing });
  expect(await lane.queue.find(bad[1] ?? "")).toEqual({ state: "delayed", ...nothing });
  expect(await lane.queue.wait(bad[1] ?? "")).toMatchObject({
    fetched: 0,
    locked: false,
    failure: undefined,
  });
});

test("in the failed set it is a dead job that can be moved and dropped", async () => {
  const lane = testLane();
  const [bad, other] = [lane.newJob(), lane.newJob()];
  for (const [index, { id }] of [bad, other].entries()) {
    await lane.redis.zadd(lane.keys.failed, index + 1, id);
    await lane.redis.hset(lane.keys.jobPrefix + id, "data", "{}");
  }
  await overwrite(lane, bad.id);
  const failed = await lane.failed.oldest(10);
  expect(failed.map(({ id }) => id)).toEqual([bad.id, other.id]);
  expect(await lane.failed.drop({ id: bad.id, diedAt: 1 })).toBe(true);
  expect(await lane.redis.exists(lane.keys.jobPrefix + bad.id)).toBe(0);
});
