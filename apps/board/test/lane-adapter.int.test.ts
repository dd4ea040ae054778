/** A lane that several people look at at the same moment. */
import { connect, keySpace } from "@sluice/redis";
import { Queue } from "bullmq";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { Kept } from "../src/kept.ts";
import type { PoolSeen } from "../src/lanes/pool-line.ts";
import { LaneAdapter } from "../src/lanes/lane-adapter.ts";
import { Turns } from "../src/turns.ts";

test("a job whose id is made like a list is not taken for the list that somebody else asks for", async () => {
  const redis = connect(inject("redisUrl"), "command", () => {});
  const queue = new Queue("claude.bulk", { connection: redis, prefix: keySpace("board-lane", "lab") });
  onTestFinished(async () => {
    await queue.close();
    redis.disconnect();
  });
  await vi.waitFor(() => expect(redis.status).toBe("ready"));
  const nothing = { maxAgeMs: 0, patienceMs: 100, clock: Date.now };
  const adapter = new LaneAdapter({
    queue,
    pool: new Kept<PoolSeen>({ load: async () => Promise.reject(new Error("Nobody knows")), ...nothing }),
    declared: {},
    redis,
    clock: Date.now,
    turns: new Turns({ atOnce: 4, waiting: 4 }),
  });
  for (const id of ["active 0 9", "page claude.bulk active 0 9"]) {
    const [job, jobs] = await Promise.all([adapter.getJob(id), adapter.getJobs(["active"], 0, 9)]);
    expect(job).toBeUndefined();
    expect(jobs).toEqual([]);
  }
});
