import { NewerVersionError, type Failure } from "@sluice/job";
import { Queue } from "bullmq";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { completeAll, testLane, type TestLane } from "./lane.ts";

const failure: Failure = {
  kind: "throttled",
  errorClass: "ThrottlingException",
  message: "Too many tokens",
  dimension: "tokens",
  status: 429,
};

/** BullMQ itself, as Bull Board and other tools use it. */
function bullmq(lane: TestLane): Queue {
  const queue = new Queue(`${lane.pool}.${lane.lane}`, { connection: lane.redis, prefix: lane.keySpace });
  onTestFinished(async () => queue.close());
  return queue;
}

/** A lane in which so many jobs have died. */
async function withDead(count: number): Promise<{ lane: TestLane; ids: string[] }> {
  const lane = testLane();
  const ids = await lane.addMany(count);
  const { intake } = await lane.startIntake(async (job) => {
    await job.fail(failure);
    return undefined;
  });
  await vi.waitUntil(async () => (await lane.failed.size()) === count);
  await intake.stop();
  return { lane, ids };
}

describe("a failed job", () => {
  test("is in the failed set with our failure, its data and its counts", async () => {
    const { lane, ids } = await withDead(1);
    expect(await lane.failed.oldest(10)).toEqual([
      {
        id: ids[0],
        data: expect.objectContaining({ id: ids[0], tenant: "acme" }) as unknown,
        failure,
        attempts: 1,
        stalls: 0,
        fetched: 1,
        diedAt: expect.any(Number) as unknown,
      },
    ]);
    expect(await lane.queue.find(ids[0] ?? "")).toMatchObject({ state: "failed" });
    expect(await lane.redis.zcard(lane.keys.deadlines)).toBe(0);
  });

  test("shows a person the reason in BullMQ's own fields", async () => {
    const { lane, ids } = await withDead(1);
    const job = await bullmq(lane).getJob(ids[0] ?? "");
    expect(job?.failedReason).toBe("ThrottlingException: Too many tokens");
    expect(job?.stacktrace).toEqual(["ThrottlingException: Too many tokens"]);
  });

  test.each([true, 1, { count: 1 }])(
    "stays until it is moved, also when it says removeOnFail: %j",
    async (option) => {
      const lane = testLane();
      const jobs = [lane.newJob(), lane.newJob(), lane.newJob()];
      for (const job of jobs) {
        await bullmq(lane).add(job.kind, job, { jobId: job.id, priority: 2, removeOnFail: option });
      }
      await lane.startIntake(async (job) => {
        await job.fail(failure);
        return undefined;
      });
      await vi.waitUntil(async () => (await lane.queue.counts()).waiting === 0);
      await vi.waitUntil(async () => (await lane.failed.size()) === 3);
      const dead = (await lane.failed.oldest(10)).map(({ id }) => id);
      // They may die in the same millisecond.
      expect(dead.toSorted()).toEqual(jobs.map(({ id }) => id).toSorted());
    },
  );

  test("whose failure is none of any version is a failure outside of Sluice", async () => {
    const { lane, ids } = await withDead(1);
    for (const stored of [
      { ...failure, kind: 7 },
      { ...failure, message: "x".repeat(501) },
      { kind: "poisoned" },
      1,
    ]) {
      await lane.redis.hset(lane.keys.jobPrefix + ids[0], "sluice:failure", JSON.stringify(stored));
      expect(await lane.failed.oldest(1)).toMatchObject([{ failure: { errorClass: "FailedOutsideSluice" } }]);
    }
  });

  test("that something else failed is a failure outside of Sluice, in its own words", async () => {
    const { lane, ids } = await withDead(1);
    await lane.redis.hdel(lane.keys.jobPrefix + ids[0], "sluice:failure");
    await lane.redis.hset(lane.keys.jobPrefix + ids[0], "failedReason", "parent failed");
    expect(await lane.failed.oldest(1)).toMatchObject([
      { failure: { kind: "terminal", errorClass: "FailedOutsideSluice", message: "parent failed" } },
    ]);
  });

  test.each([
    ["a kind of failure that it knows", { ...failure, kind: "poisoned" }, 2],
    ["a version of its failure", { ...failure, version: 3 }, 3],
  ])("of which only a newer version of Sluice knows %s is told as that", async (_what, stored, version) => {
    const { lane, ids } = await withDead(1);
    const [id = ""] = ids;
    await lane.redis.hset(lane.keys.jobPrefix + id, "sluice:failure", JSON.stringify(stored));
    const [dead] = await lane.failed.oldest(1);
    expect(dead?.failure).toBeInstanceOf(NewerVersionError);
    expect(dead?.failure).toMatchObject({ what: "failure", version, known: 1 });
  });

  test("with data that is no JSON is still found", async () => {
    const { lane, ids } = await withDead(1);
    await lane.redis.hset(lane.keys.jobPrefix + ids[0], "data", "{");
    expect(await lane.failed.oldest(1)).toMatchObject([{ id: ids[0], data: undefined, failure }]);
  });
});

describe("the failed set", () => {
  test("gives the oldest first, and no more than asked for", async () => {
    const { lane, ids } = await withDead(5);
    for (const [index, id] of ids.entries()) await lane.redis.zadd(lane.keys.failed, 1_000 - index, id);
    expect((await lane.failed.oldest(3)).map(({ id, diedAt }) => [id, diedAt])).toEqual([
      [ids[4], 996],
      [ids[3], 997],
      [ids[2], 998],
    ]);
  });

  test("drops a job with everything that is its own, once", async () => {
    const { lane, ids } = await withDead(2);
    const [dead] = await lane.failed.oldest(1);
    if (dead === undefined) throw new Error("Expected a dead job");
    await (await bullmq(lane).getJob(dead.id))?.log("a line");
    expect(await lane.failed.drop(dead)).toBe(true);
    expect(await lane.failed.drop(dead)).toBe(false);
    expect(await lane.redis.keys(`${lane.keys.jobPrefix}${dead.id}*`)).toEqual([]);
    expect((await lane.failed.oldest(5)).map(({ id }) => id)).toEqual(ids.filter((id) => id !== dead.id));
  });

  test("skips a job that another mover dropped between the two reads", async () => {
    const { lane, ids } = await withDead(2);
    await lane.redis.del(lane.keys.jobPrefix + ids[0]);
    expect((await lane.failed.oldest(5)).map(({ id }) => id)).toEqual([ids[1]]);
  });

  test("leaves a job alone that was retried since it was read", async () => {
    const { lane, ids } = await withDead(1);
    const [dead] = await lane.failed.oldest(1);
    await (await bullmq(lane).getJob(ids[0] ?? ""))?.retry();
    expect(await lane.failed.drop(dead ?? { id: "", diedAt: 0 })).toBe(false);
    expect(await lane.queue.find(ids[0] ?? "")).toMatchObject({ state: "waiting" });
  });

  test("leaves a job alone that was retried and has died again", async () => {
    const { lane, ids } = await withDead(1);
    const [dead] = await lane.failed.oldest(1);
    await lane.redis.zadd(lane.keys.failed, (dead?.diedAt ?? 0) + 1, ids[0] ?? "");
    expect(await lane.failed.drop(dead ?? { id: "", diedAt: 0 })).toBe(false);
    expect(await lane.failed.size()).toBe(1);
  });

  test("gives a retried job back to an intake", async () => {
    const { lane, ids } = await withDead(1);
    await (await bullmq(lane).getJob(ids[0] ?? ""))?.retry();
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    await vi.waitUntil(async () => (await lane.queue.find(ids[0] ?? ""))?.state === "completed");
    expect(taken).toEqual(ids);
  });
});
