/** Lanes that hold jobs and that no pools file of the board names: shown as they are found, to be looked at only. */
import { newJobId, queueName, type JobData } from "@sluice/job";
import { createRedisLimiter, lanesNamed } from "@sluice/limits";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue } from "@sluice/queue";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { MARKER, startBoard } from "./given.ts";

vi.setConfig({ testTimeout: 30_000 });

const listSchema = z.object({
  queues: z.array(
    z.looseObject({
      name: z.string(),
      description: z.string().optional(),
      readOnlyMode: z.boolean(),
      counts: z.record(z.string(), z.number()),
    }),
  ),
});

test("a lane and a pool that were taken out of the file are shown with their jobs, read-only", async () => {
  await using board = await startBoard();
  const { space } = board;
  const limiter = createRedisLimiter({ redis: board.redis, keySpace: space });
  await limiter.configure("nova", {
    quota: { tokensPerMinute: 1_000_000 },
    lanes: lanesNamed(["live", "batch"]),
  });
  await limiter.configure("removed", { quota: { tokensPerMinute: 70_000 }, lanes: lanesNamed(["standard"]) });
  await board.redis.zadd(`${space}:heartbeat:owners`, Date.now() + 30_000, "one");
  const note = JSON.stringify({ version: 1, lanes: ["nova.live"] });
  await board.redis.set(`${space}:serves:one`, note, "PX", 30_000);
  const ids: Record<string, string> = {};
  for (const [pool, lane] of [
    ["nova", "old"],
    ["removed", "standard"],
  ] as const) {
    const queue = new LaneQueue({
      redis: board.redis,
      keySpace: space,
      pool,
      lane,
      clock: Date.now,
      onError: () => {},
    });
    const job = await jobIn(pool, lane);
    await queue.add(job);
    await queue.close();
    ids[queueName(pool, lane)] = job.id;
  }
  // An empty one is no news.
  await board.redis.zadd(`${space}:lanes`, Date.now(), "nova.empty");

  const shown = async () => {
    const response = await fetch(`${board.url}/api/queues`);
    const { queues } = listSchema.parse(await response.json());
    return new Map(queues.map((queue) => [queue.name, queue]));
  };
  await vi.waitFor(async () => expect([...(await shown()).keys()]).toContain("removed.standard"), 15_000);
  const queues = await shown();
  expect([...queues.keys()]).not.toContain("nova.empty");
  for (const name of ["nova.old", "removed.standard"]) {
    expect(queues.get(name)).toMatchObject({ readOnlyMode: true, counts: { prioritized: 1 } });
    expect(queues.get(name)?.description).toContain("Not in this board's pools file");
    const page = await fetch(`${board.url}/api/queues/${name}/${ids[name] ?? ""}`);
    expect(page.status).toBe(200);
    expect(await page.text()).not.toContain(MARKER);
  }
  const { pools } = z
    .object({ pools: z.array(z.object({ name: z.string(), line: z.string() })) })
    .parse(await (await fetch(`${board.url}/pools/now.json`)).json());
  expect(pools.map(({ name }) => name)).toEqual(expect.arrayContaining(["nova", "removed"]));
  const removed = pools.find(({ name }) => name === "removed");
  expect(removed?.line).toMatch(/^Not in this board's pools file · Breaker closed · [\d,]+ tokens\/min/);
  expect(removed?.line).not.toContain("Quota not as in the file");
  await vi.waitFor(async () => {
    const now = await shown();
    expect(now.get("nova.old")?.description).toContain("No worker serves this lane");
    expect(now.get("nova.batch")?.description).toContain("No worker serves this lane");
    expect(now.get("nova.live")?.description).not.toContain("No worker serves this lane");
    // A pool of this file that no worker has started, since none that runs has it.
    expect(now.get("claude.standard")?.description).toMatch(/^No worker serves this lane: [^·]*pools file$/);
  }, 10_000);
});

async function jobIn(pool: string, lane: string): Promise<JobData> {
  const now = Date.now();
  return {
    version: 1,
    id: newJobId(pool, lane, now),
    tenant: "default",
    pool,
    lane,
    kind: "converse",
    payload: await encodePayload({ messages: [{ role: "user", content: [{ text: MARKER }] }], maxTokens: 5 }),
    acceptedAt: now,
    deadlineAt: now + 600_000,
    maxAttempts: 1,
  };
}
