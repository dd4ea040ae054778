/** A retry that is due is next in its lane, however many wait. */
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

const WAITING = 100_000;
const BATCH = 2_000;
const RETRY_MS = 1_000;
const RUN_MS = 20;

const fail = (error: unknown): void => {
  throw error;
};

test("with 100,000 waiting", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
  // A Redis of its own: emptying a lane of this length takes longer than ending the server.
  await using server = await startRedis({ dataDir: folder });
  const redis = connect(server.url, "worker", fail);
  const lane = {
    redis,
    keySpace: keySpace("chaos", "main"),
    pool: "lab",
    lane: "standard",
    onError: fail,
    ...machineTime,
  };
  const queue = new LaneQueue(lane);
  const payload = await encodePayload({ messages: [], maxTokens: 1 });
  const job = (): JobData => {
    const now = Date.now();
    const id = newJobId("lab", "standard", now);
    const names = { version: 1, tenant: "default", pool: "lab", lane: "standard", kind: "converse" } as const;
    return { ...names, id, payload, acceptedAt: now, deadlineAt: now + 3_600_000, maxAttempts: 5 };
  };

  const retried = job();
  await queue.add(retried);
  for (let added = 0; added < WAITING; added += BATCH) {
    await Promise.all(Array.from({ length: BATCH }, async () => queue.add(job())));
  }

  const fetched: { id: string; at: number }[] = [];
  let dueAt = 0;
  const locks = new LockKeeper({ times: { inHandMs: 10_000, callMs: 10_000 }, onLost: fail, onError: fail });
  const intake = new Intake({
    ...lane,
    slots: new Slots(["standard"], 1),
    locks,
    stalledIntervalMs: 30_000,
    waiting: new WaitingGrants(),
    take: async (held) => {
      fetched.push({ id: held.id, at: Date.now() });
      if (held.attemptsStarted === 1 && held.id === retried.id) {
        await held.defer({ delayMs: RETRY_MS, attempt: true });
        dueAt = Date.now() + RETRY_MS;
        return undefined;
      }
      return async () => {
        await sleep(RUN_MS);
        await held.complete({ outcome: "completed" });
      };
    },
  });
  locks.start();
  await intake.start();
  await vi.waitFor(() => expect(fetched.filter(({ id }) => id === retried.id)).toHaveLength(2), PATIENTLY);
  const place = fetched.findLastIndex(({ id }) => id === retried.id);
  const before = fetched.slice(1, place);
  // The lane was busy with others meanwhile, and is as good as full.
  expect(before.length).toBeGreaterThan(3);
  expect((await queue.counts()).waiting).toBeGreaterThan(WAITING - 1_000);
  // At most the one whose fetch was on its way when the retry became due.
  expect(before.filter(({ at }) => at > dueAt).length).toBeLessThanOrEqual(1);

  await intake.stop();
  await intake.settled();
  locks.stop();
  await Promise.all([intake.close(), queue.close()]);
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
