/** The way of a job through its lane when nothing goes wrong. */
import { describe, expect, test, vi } from "vitest";
import type { HeldJob } from "../src/index.ts";
import { completeAll, takeOne, testLane } from "./lane.ts";

describe("a lane", () => {
  test("hands a job to an intake as it was added, and knows where it is", async () => {
    const lane = testLane();
    const job = lane.newJob();
    expect(await lane.queue.find(job.id)).toBeUndefined();
    await lane.queue.add(job);
    expect(await lane.queue.find(job.id)).toEqual({
      state: "waiting",
      data: job,
      attemptsMade: 0,
      fetched: 0,
      stalls: 0,
    });
    expect(await lane.queue.counts()).toEqual({ waiting: 1, delayed: 0, active: 0, failed: 0 });

    const { take, job: taken } = takeOne();
    await lane.startIntake(take);
    const held = await taken;
    expect(held).toMatchObject({ id: job.id, data: job, attemptsMade: 0, attemptsStarted: 1, stalls: 0 });
    expect(held.deferredFailure).toBeUndefined();
    expect(await lane.queue.find(job.id)).toMatchObject({ state: "active" });

    await held.complete({ outcome: "completed", model: "m", inputTokens: 3 });
    expect(await lane.queue.find(job.id)).toMatchObject({ state: "completed" });
    expect(await lane.queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
    expect(await lane.redis.zcard(lane.keys.deadlines)).toBe(0);
  });

  test("gives out its jobs in the order in which they came", async () => {
    const lane = testLane();
    const added: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      const job = lane.newJob();
      await lane.queue.add(job);
      added.push(job.id);
    }
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    await vi.waitUntil(() => taken.length === added.length);
    expect(taken).toEqual(added);
  });

  test("wakes a sleeping intake for a new job", async () => {
    const lane = testLane();
    const taken: string[] = [];
    const { intake } = await lane.startIntake(completeAll(taken));
    await lane.addMany(1);
    await vi.waitUntil(() => taken.length === 1);
    expect(intake.running).toBeLessThanOrEqual(1);
  });

  test("holds a job once, however often it is added, with its first data and deadline", async () => {
    const lane = testLane();
    const job = lane.newJob();
    await Promise.all(Array.from({ length: 10 }, async () => lane.queue.add(job)));
    await lane.queue.add({ ...job, deadlineAt: job.deadlineAt + 60_000, tenant: "globex" });
    expect(await lane.queue.counts()).toMatchObject({ waiting: 1 });
    expect(await lane.queue.find(job.id)).toMatchObject({ data: job });
    expect(await lane.redis.zscore(lane.keys.deadlines, job.id)).toBe(String(job.deadlineAt));
  });

  test("keeps a job until it may start, and gives out others meanwhile", async () => {
    const lane = testLane();
    const job = lane.newJob();
    const before = Date.now();
    await lane.queue.add(job, 300);
    expect(await lane.queue.find(job.id)).toMatchObject({ state: "delayed" });
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    const [other = ""] = await lane.addMany(1);
    await vi.waitUntil(() => taken.length === 2);
    expect(taken).toEqual([other, job.id]);
    expect(Date.now() - before).toBeGreaterThanOrEqual(300);
  });

  test("does not run a completed job again when it is added again", async () => {
    const lane = testLane();
    const job = lane.newJob();
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    await lane.queue.add(job);
    await vi.waitUntil(async () => (await lane.queue.find(job.id))?.state === "completed");
    await lane.queue.add(job);
    const [last = ""] = await lane.addMany(1);
    await vi.waitUntil(() => taken.includes(last));
    expect(taken).toEqual([job.id, last]);
  });
});

describe("an intake", () => {
  test("runs as many calls as it has slots, and fetches no job that has none", async () => {
    const lane = testLane();
    await lane.addMany(5);
    const running: HeldJob[] = [];
    const gate = Promise.withResolvers<undefined>();
    const { intake } = await lane.startIntake(
      async (job) => async () => {
        running.push(job);
        await gate.promise;
        await job.complete({});
      },
      { slots: 2 },
    );
    await vi.waitUntil(() => running.length === 2);
    expect(await lane.queue.counts()).toMatchObject({ active: 2, waiting: 3 });
    expect(intake.running).toBe(2);
    gate.resolve(undefined);
    await vi.waitUntil(() => running.length === 5);
    await intake.settled();
    expect(intake.running).toBe(0);
  });

  test("reads two jobs ahead of the one that asks at the gate, and no more", async () => {
    const lane = testLane();
    await lane.addMany(6);
    const atGate: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    await lane.startIntake(
      async (job) => {
        atGate.push(job.id);
        await gate.promise;
        return async () => job.complete({});
      },
      { slots: 6 },
    );
    await vi.waitUntil(() => atGate.length === 3, { timeout: 5_000 });
    expect(await lane.queue.counts()).toMatchObject({ active: 3, waiting: 3 });
    gate.resolve(undefined);
    await vi.waitUntil(() => atGate.length === 6, { timeout: 5_000 });
  });

  test("lets granted jobs wait for their start without a slot, and starts them when their time has come", async () => {
    const lane = testLane();
    const ids = await lane.addMany(5);
    const started: string[] = [];
    const times = new Map<string, { takenAt: number; startedAt: number }>();
    const { intake } = await lane.startIntake(
      async (job) => {
        const takenAt = performance.now();
        return {
          waitMs: 400,
          atOnce: false,
          off: new AbortController().signal,
          start: async () => {
            times.set(job.id, { takenAt, startedAt: performance.now() });
            started.push(job.id);
            return async () => job.complete({});
          },
        };
      },
      { slots: 1 },
    );
    // With its one slot it could not hold a second one, if a grant that waits held one.
    await vi.waitUntil(async () => (await lane.queue.counts()).active === 5, {
      timeout: 5_000,
      interval: 10,
    });
    expect(intake.running).toBe(0);
    await vi.waitUntil(() => started.length === 5, { timeout: 5_000 });
    expect(started).toEqual(ids);
    for (const { takenAt, startedAt } of times.values()) {
      expect(startedAt - takenAt).toBeGreaterThanOrEqual(399);
    }
  });

  test("goes on after a run and after a take that throw, and tells both", async () => {
    const lane = testLane();
    await lane.addMany(3);
    const taken: string[] = [];
    const { errors } = await lane.startIntake(async (job) => {
      taken.push(job.id);
      if (taken.length === 1) throw new Error("in take");
      if (taken.length === 2) return async () => Promise.reject(new Error("in run"));
      return async () => job.complete({});
    });
    await vi.waitUntil(() => taken.length === 3, { timeout: 5_000 });
    expect(errors.map(String)).toEqual(["Error: in take", "Error: in run"]);
  });
});
