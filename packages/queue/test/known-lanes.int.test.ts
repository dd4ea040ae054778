/** Lanes are known as long as somebody names them or they hold a job, whoever's pools file has them. */
import { newJobId, type JobData } from "@sluice/job";
import { expect, onTestFinished, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { forgetLane, isKnownLane, knownLanes, LaneQueue, noteLanes, POLLS_LANE } from "../src/index.ts";

const DAY_MS = 24 * 3_600_000;
const lane = { pool: "p", lane: "old" };

function jobOf({ pool, lane: name }: typeof lane): JobData {
  const now = Date.now();
  return {
    version: 1,
    id: newJobId(pool, name, now),
    tenant: "acme",
    pool,
    lane: name,
    kind: "converse",
    payload: { encoding: "json", json: "{}" },
    acceptedAt: now,
    deadlineAt: now + 60_000,
    maxAttempts: 1,
  };
}

test("a lane is known from its first job, and forgotten a day after it was last named, if it is empty", async () => {
  const redis = testRedis("command");
  const space = testKeySpace();
  const queue = new LaneQueue({ redis, keySpace: space, ...lane, clock: Date.now, onError: () => {} });
  onTestFinished(async () => queue.close());
  expect(await knownLanes(redis, space)).toEqual([]);
  const job = jobOf(lane);
  await queue.add(job);
  expect(await knownLanes(redis, space)).toEqual([lane]);
  expect(await isKnownLane(redis, space, { pool: "p", lane: "another" })).toBe(false);

  const later = Date.now() + DAY_MS + 60_000;
  expect(await forgetLane(redis, space, lane, later)).toBe(false);
  expect(await queue.withdraw(job.id)).toBe(true);
  expect(await forgetLane(redis, space, lane, later - DAY_MS)).toBe(false);
  expect(await forgetLane(redis, space, lane, later)).toBe(true);
  expect(await forgetLane(redis, space, lane, later)).toBe(false);
  expect(await knownLanes(redis, space)).toEqual([]);
});

test("a producer's machine whose clock is wrong says no other time than the shared one", async () => {
  const redis = testRedis("command");
  const space = testKeySpace();
  const queue = new LaneQueue({ redis, keySpace: space, ...lane, clock: () => 5_000, onError: () => {} });
  onTestFinished(async () => queue.close());
  await queue.add(jobOf(lane));
  expect(await redis.zscore(`${space}:lanes`, "p.old")).toBe("5000");
});

test("the lanes that were named last come first, queues of polls among them", async () => {
  const redis = testRedis("command");
  const space = testKeySpace();
  await noteLanes(redis, space, [lane], 1_000);
  await noteLanes(redis, space, [{ pool: "q", lane: POLLS_LANE }], 2_000);
  // A clock that is behind takes nothing back.
  await noteLanes(redis, space, [{ pool: "q", lane: POLLS_LANE }], 500);
  expect(await knownLanes(redis, space)).toEqual([{ pool: "q", lane: POLLS_LANE }, lane]);
});

test("a lane is noted by the shared clock, by which it is forgotten, and not by the machine's", async () => {
  const redis = testRedis("command");
  const space = testKeySpace();
  const shared = Date.now() - 2 * DAY_MS;
  const queue = new LaneQueue({ redis, keySpace: space, ...lane, clock: () => shared, onError: () => {} });
  onTestFinished(async () => queue.close());
  const job = jobOf(lane);
  await queue.add(job);
  await queue.withdraw(job.id);
  expect(await forgetLane(redis, space, lane, shared + DAY_MS - 1)).toBe(false);
  expect(await forgetLane(redis, space, lane, shared + DAY_MS)).toBe(true);
});
