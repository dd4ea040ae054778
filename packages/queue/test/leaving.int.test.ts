/** Processes that stop, and processes that vanish: either way every job is there afterwards, once. */
import { describe, expect, test, vi } from "vitest";
import { completeAll, takeOne, testLane } from "./lane.ts";

const short = { inHandMs: 300, callMs: 300, stalledIntervalMs: 100 };

describe("an intake that stops", () => {
  test("hands back what waits at the gate, and the next intake gets it at once", async () => {
    const lane = testLane();
    const [id = ""] = await lane.addMany(1);
    const waiting = Promise.withResolvers<undefined>();
    const { intake } = await lane.startIntake(async (job, signal) => {
      const stopping = new Promise((resolve) => signal.addEventListener("abort", resolve));
      waiting.resolve(undefined);
      await stopping;
      await job.defer({ delayMs: 0, attempt: false });
      return undefined;
    });
    await waiting.promise;
    await intake.stop();
    expect(await lane.queue.find(id)).toMatchObject({ state: "delayed", attemptsMade: 0 });
    const taken: string[] = [];
    await lane.startIntake(completeAll(taken));
    await vi.waitUntil(() => taken.length === 1);
    expect(taken).toEqual([id]);
  });

  test("hands back what was granted and has not started", async () => {
    const lane = testLane();
    const ids = await lane.addMany(3);
    const { intake } = await lane.startIntake(
      async (job, signal) => ({
        waitMs: 60_000,
        atOnce: false,
        off: signal,
        start: async () => {
          await job.defer({ delayMs: 0, attempt: false });
          return undefined;
        },
      }),
      { slots: 1 },
    );
    await vi.waitUntil(async () => (await lane.queue.counts()).active === 3, { timeout: 5_000 });
    await intake.stop();
    const { waiting, delayed, active } = await lane.queue.counts();
    expect({ open: waiting + delayed, active }).toEqual({ open: ids.length, active: 0 });
  });

  test("while it sleeps stops at once, and fetches nothing that comes later", async () => {
    const lane = testLane();
    const taken: string[] = [];
    const { intake } = await lane.startIntake(completeAll(taken));
    await lane.addMany(1);
    await vi.waitUntil(async () => taken.length === 1 && (await lane.queue.counts()).active === 0);
    const before = performance.now();
    await intake.stop();
    // It would sleep for 5 s on its own.
    expect(performance.now() - before).toBeLessThan(1_000);
    await lane.addMany(1);
    expect(await lane.queue.counts()).toMatchObject({ waiting: 1, active: 0 });
  });

  test("lets the calls in flight finish", async () => {
    const lane = testLane();
    const [id = ""] = await lane.addMany(1);
    const { take, job, release } = takeOne();
    const { intake } = await lane.startIntake(take);
    const held = await job;
    await intake.stop();
    expect(intake.running).toBe(1);
    await held.complete({});
    release();
    await intake.settled();
    expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
  });

  test("loses nothing while others go on: 400 jobs, an intake stopped every 50", async () => {
    const lane = testLane();
    const ids = await lane.addMany(400);
    const completed: string[] = [];
    const run = async (): Promise<Awaited<ReturnType<typeof lane.startIntake>>> =>
      lane.startIntake(
        async (job) => async () => {
          await job.complete({});
          completed.push(job.id);
        },
        { slots: 4 },
      );
    let next = await run();
    for (let done = 50; done < ids.length; done += 50) {
      await vi.waitUntil(() => completed.length >= done, { timeout: 10_000 });
      const [last] = [next, (next = await run())];
      await last.intake.stop();
      await last.intake.settled();
    }
    await vi.waitUntil(() => completed.length >= ids.length, { timeout: 10_000 });
    expect(completed.toSorted()).toEqual(ids.toSorted());
    expect(await lane.queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
  });
});

describe("a job whose process vanished", () => {
  test("is fetched again, with its stall counted and no attempt", async () => {
    const lane = testLane();
    const [id = ""] = await lane.addMany(1);
    const first = takeOne();
    const { vanish } = await lane.startIntake(first.take, short);
    await first.job;
    await vanish();
    const second = takeOne();
    await lane.startIntake(second.take, short);
    const held = await second.job;
    expect(held).toMatchObject({ id, stalls: 1, attemptsMade: 0, attemptsStarted: 2 });
    await held.complete({});
    expect(await lane.queue.find(id)).toMatchObject({ state: "completed" });
  });

  test("is never failed by BullMQ, however often that happens: the counter tells us", async () => {
    const lane = testLane();
    await lane.addMany(1);
    for (let stalls = 0; stalls < 4; stalls += 1) {
      const { take, job } = takeOne();
      const { vanish } = await lane.startIntake(take, short);
      expect(await job).toMatchObject({ stalls, deferredFailure: undefined });
      await vanish();
    }
    expect(await lane.failed.size()).toBe(0);
  });

  test("that was lost, not dead, cannot end what its second run owns", async () => {
    const lane = testLane();
    const [id = ""] = await lane.addMany(1);
    const first = takeOne();
    const { pause, vanish } = await lane.startIntake(first.take, short);
    const late = await first.job;
    const second = takeOne();
    // Its locks are not renewed any more, but it lives: as after a long pause of the process.
    pause();
    await lane.redis.del(`${lane.keys.jobPrefix}${id}:lock`);
    await lane.startIntake(second.take, short);
    const owner = await second.job;
    await expect(late.complete({})).rejects.toThrow(/lock/i);
    await owner.complete({});
    await vanish();
  });
});
