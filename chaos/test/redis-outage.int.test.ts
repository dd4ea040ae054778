/** Redis is away for longer than every lock and every heartbeat while calls are in flight: nobody pays twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis, type RunningService } from "@sluice/services";
import { expect, inject, test, vi } from "vitest";
import { countInFlight, startProxyTo } from "../src/index.ts";
import { PATIENTLY, startLab } from "./lab.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Locks last for 1 s at most here, heartbeats too; calls end in the middle of this. */
const OUTAGE_MS = 5_000;
const LATENCY_MS = 1_500;

/** Resolves to what is wrong afterwards. */
async function throughAnOutage(outage: (redis: RunningService) => Promise<void>): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
  try {
    await using redis = await startRedis({ dataDir: folder, fsync: "always" });
    await using lab = await startLab({ redisUrl: redis.url, latencyMs: LATENCY_MS });
    const { installation } = lab;
    const workers = await Promise.all([installation.startWorker(), installation.startWorker()]);
    const ids = await lab.submit(20);
    // Four in each: the slots are full, so both have calls in flight and jobs at hand.
    await vi.waitFor(async () => expect(await countInFlight(lab.simulatorUrl)).toBe(8), PATIENTLY);

    await outage(redis);
    await lab.untilEnded(ids);
    expect(workers.map(({ running }) => running)).toEqual([true, true]);
    await lab.expectNoLeaks();
    return await lab.problems(ids, { calls: [1, 1] });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("Redis stands still, two workers: one call per job", async () => {
  const problems = await throughAnOutage(async (redis) => {
    process.kill(redis.pid, "SIGSTOP");
    await sleep(OUTAGE_MS);
    process.kill(redis.pid, "SIGCONT");
  });
  expect(problems).toEqual([]);
});

test("Redis is killed and comes back with what it had on disk, two workers: one call per job", async () => {
  const problems = await throughAnOutage(async (redis) => {
    await redis.kill();
    await sleep(OUTAGE_MS);
    await redis.restart();
  });
  expect(problems).toEqual([]);
});

test("both workers lose Redis, and one is back before the other: it does not take its calls for abandoned", async () => {
  await using lab = await startLab({ latencyMs: LATENCY_MS });
  await using first = await startProxyTo(inject("redisUrl"));
  await using second = await startProxyTo(inject("redisUrl"));
  const beats = { SLUICE_HEARTBEAT_TTL_MS: "3000" };
  const { installation } = lab;
  await installation.startWorker({ ...beats, REDIS_URL: first.url });
  await installation.startWorker({ ...beats, REDIS_URL: second.url });
  const ids = await lab.submit(8);
  await vi.waitFor(async () => expect(await countInFlight(lab.simulatorUrl)).toBe(8), PATIENTLY);

  first.set({ lost: "both" });
  second.set({ lost: "both" });
  await sleep(OUTAGE_MS);
  first.set({});
  // Locks are over, the stall check has given the jobs back, and the first has slots: only the ledger's grace is left.
  await sleep(1_500);
  second.set({});
  await lab.untilEnded(ids);
  expect(await lab.problems(ids, { calls: [1, 1] })).toEqual([]);
});
