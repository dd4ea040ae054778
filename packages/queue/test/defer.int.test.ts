import { NO_NOTES } from "@sluice/job";
import { expect, test, vi } from "vitest";
import type { Take } from "../src/index.ts";
import { takeOne, testLane } from "./lane.ts";

test("a deferred job is next when due, ahead of a backlog of thousands", async () => {
  const lane = testLane();
  const [first = ""] = await lane.addMany(1);
  await lane.addMany(3_000);
  const delayMs = 200;
  let dueAt = Number.POSITIVE_INFINITY;
  const takenAt: number[] = [];
  const back = Promise.withResolvers<number>();
  const take: Take = async (job) => {
    const now = Date.now();
    if (job.id === first && dueAt === Number.POSITIVE_INFINITY) {
      dueAt = now + delayMs;
      await job.defer({ delayMs, attempt: false });
      return undefined;
    }
    if (job.id === first) back.resolve(now);
    takenAt.push(now);
    return async () => job.complete({});
  };
  await lane.startIntake(take);
  const backAt = await back.promise;
  expect(backAt).toBeGreaterThanOrEqual(dueAt);
  // Others ran while it waited; when it was due, at most one that was on its way to us still came first.
  const before = takenAt.slice(0, takenAt.indexOf(backAt));
  expect(before.length).toBeGreaterThan(0);
  expect(before.filter((at) => at > dueAt + 5).length).toBeLessThanOrEqual(1);
  expect(await lane.queue.counts()).toMatchObject({
    waiting: expect.toSatisfy((n: number) => n > 100) as unknown,
  });
});

test("several deferred jobs come back in the order in which they are due", async () => {
  const lane = testLane();
  const ids = await lane.addMany(3);
  const delays = new Map(ids.map((id, index) => [id, 150 - index * 50]));
  const back: string[] = [];
  await lane.startIntake(async (job) => {
    const delayMs = delays.get(job.id);
    delays.delete(job.id);
    if (delayMs !== undefined) {
      await job.defer({ delayMs, attempt: false });
      return undefined;
    }
    back.push(job.id);
    return async () => job.complete({});
  });
  await vi.waitUntil(() => back.length === 3);
  expect(back).toEqual(ids.toReversed());
});

test("a try counts as an attempt only when it is said to", async () => {
  const lane = testLane();
  await lane.addMany(1);
  const seen: unknown[] = [];
  await lane.startIntake(async (job) => {
    seen.push([job.attemptsMade, job.attemptsStarted, job.stalls]);
    if (seen.length === 4) return async () => job.complete({});
    await job.defer({
      delayMs: 0,
      attempt: seen.length % 2 === 1,
      reason: "ThrottlingException: Too many tokens",
    });
    return undefined;
  });
  await vi.waitUntil(() => seen.length === 4);
  expect(seen).toEqual([
    [0, 1, 0],
    [1, 2, 0],
    [1, 3, 0],
    [2, 4, 0],
  ]);
});

test("a deferred job waits in the delayed set, says why, and keeps its deadline", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  await lane.startIntake(take);
  await (
    await job
  ).defer({ delayMs: 60_000.4, attempt: true, reason: "ThrottlingException: Too many tokens" });
  expect(await lane.queue.find(id)).toMatchObject({ state: "delayed", attemptsMade: 1 });
  expect(await lane.redis.hget(lane.keys.jobPrefix + id, "failedReason")).toBe(
    "ThrottlingException: Too many tokens",
  );
  expect(await lane.redis.zscore(lane.keys.deadlines, id)).not.toBeNull();
});

test("a try leaves a note for the next one, which stays until another replaces it", async () => {
  const lane = testLane();
  await lane.addMany(1);
  const notes: unknown[] = [];
  await lane.startIntake(async (job) => {
    notes.push(await job.notes());
    if (notes.length === 4) return async () => job.complete({});
    const left = notes.length === 2 ? {} : { notes: { ...NO_NOTES, failures: notes.length, entry: 1 } };
    await job.defer({ delayMs: 0, attempt: false, ...left });
    return undefined;
  });
  await vi.waitUntil(() => notes.length === 4);
  expect(notes).toEqual([
    NO_NOTES,
    { ...NO_NOTES, failures: 1, entry: 1 },
    { ...NO_NOTES, failures: 1, entry: 1 },
    { ...NO_NOTES, failures: 3, entry: 1 },
  ]);
});

test("a note is there for the next worker also if this one vanishes", async () => {
  const lane = testLane();
  await lane.addMany(1);
  const { take, job } = takeOne();
  await lane.startIntake(take);
  const held = await job;
  await held.keepNotes({ ...NO_NOTES, stallsOutlived: 2 });
  expect(await held.notes()).toEqual({ ...NO_NOTES, stallsOutlived: 2 });
});

test("a job whose lock is gone cannot be deferred, completed or failed", async () => {
  const lane = testLane();
  const [id = ""] = await lane.addMany(1);
  const { take, job } = takeOne();
  await lane.startIntake(take);
  const held = await job;
  await lane.redis.del(`${lane.keys.jobPrefix}${id}:lock`);
  const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" } as const;
  await expect(held.defer({ delayMs: 0, attempt: false })).rejects.toThrow("Missing lock");
  await expect(held.complete({})).rejects.toThrow("Missing lock");
  await expect(held.fail(failure)).rejects.toThrow("Missing lock");
  expect(await lane.queue.find(id)).toMatchObject({ state: "active" });
});
