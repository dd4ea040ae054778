/** Redis is away for longer than every lock and every heartbeat while calls are in flight: nobody pays twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis, type RunningService } from "@sluice/services";
import { expect, test, vi } from "vitest";
import { countInFlight } from "../src/index.ts";
import { PATIENTLY, startLab } from "./lab.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Locks last for 1 s at most here, heartbeats too; calls end in the middle of this. */
const OUTAGE_MS = 5_000;
const LATENCY_MS = 1_500;

/** Resolves to what is wrong afterwards. */
async function throughAnOutage(outage: (redis: RunningService) => Promise<void>): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
  try {
    await using redis = await startRedis({ dataDir: folder });
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
