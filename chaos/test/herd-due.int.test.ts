/** Thousands of delayed jobs fall due at once, and live jobs of the same lane do not wait for them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machineTime, newJobId, type JobData } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { Intake, LaneQueue, LockKeeper, Slots, WaitingGrants } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { startRedis } from "@sluice/services";
import { expect, test, vi } from "vitest";
import { PATIENTLY } from "./lab.ts";

vi.setConfig({ testTimeout: 120_000 });

const HERD = 3_300;
const BATCH = 300;
const RUN_MS = 10;
const LIVE = 10;

const DELAY_MS = 600_000;

const fail = (error: unknown): void => {
  throw error;
};

test.each(["retries", "starts that were asked for"])("%s", async (herd) => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
  await using server = await startRedis({ dataDir: folder });
  const redis = connect(server.url, "worker", fail);
  const space = keySpace("chaos", "main");
  const lane = { redis, keySpace: space, pool: "lab", lane: "critical", onError: fail, ...machineTime };
  const queue = new LaneQueue(lane);
  // Of ten minutes ago: what it was to start in ten minutes is due now.
  const before = new LaneQueue({ ...lane, clock: () => Date.now() - DELAY_MS });
  const payload = await encodePayload({ messages: [], maxTokens: 1 });
  const job = (): JobData => {
    const now = Date.now();
    const id = newJobId("lab", "critical", now);
    const names = { version: 1, tenant: "default", pool: "lab", lane: "critical", kind: "converse" } as const;
    return { ...names, id, payload, acceptedAt: now, deadlineAt: now + 3_600_000, maxAttempts: 5 };
  };

  for (let added = 0; added < HERD; added += BATCH) {
    await Promise.all(Array.from({ length: BATCH }, async () => before.add(job(), DELAY_MS)));
  }
  const base = `${space}:lab.critical:`;
  const ids = await redis.zrange(`${base}delayed`, "0", "-1");
  expect(ids).toHaveLength(HERD);
  // As jobs that came back are stored.
  if (herd === "retries") await Promise.all(ids.map(async (id) => redis.hset(base + id, "priority", "1")));

  const fetchedAt = new Map<string, number>();
  const locks = new LockKeeper({ times: { inHandMs: 10_000, callMs: 10_000 }, onLost: fail, onError: fail });
  const intake = new Intake({
    ...lane,
    slots: new Slots(["critical"], 1),
    locks,
    stalledIntervalMs: 30_000,
    waiting: new WaitingGrants(),
    take: async (held) => {
      fetchedAt.set(held.id, Date.now());
      return async () => {
        await sleep(RUN_MS);
        await held.complete({ outcome: "completed" });
      };
    },
  });
  locks.start();
  await intake.start();
  await vi.waitUntil(() => fetchedAt.size > 20, PATIENTLY);

  const places: number[] = [];
  for (let count = 0; count < LIVE; count++) {
    const live = job();
    await queue.add(live);
    const sizeBefore = fetchedAt.size;
    await vi.waitUntil(() => fetchedAt.has(live.id), PATIENTLY);
    places.push([...fetchedAt.keys()].indexOf(live.id) - sizeBefore);
  }
  // The fetches that were on their way, and one of the herd's turns: not the thousands.
  expect(Math.max(...places)).toBeLessThanOrEqual(3);
  expect(fetchedAt.size).toBeLessThan(HERD / 2);

  await intake.stop();
  await intake.settled();
  locks.stop();
  await Promise.all([intake.close(), queue.close(), before.close()]);
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
