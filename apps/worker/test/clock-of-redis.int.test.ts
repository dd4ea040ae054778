/**
 * Redis's own clock is set back, as a fail-over to a machine that is behind does. It takes a real Redis whose clock can be
 * set, and a C compiler for that; without one this is skipped, and `packages/queue/test/clock.int.test.ts` and
 * `packages/results/test/ledger.int.test.ts` look at what such a clock leaves behind.
 */
import { canSetClockOfRedis, startClockedRedis, startMachine } from "@sluice/chaos";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

test.skipIf(!canSetClockOfRedis())(
  "ten minutes back, with a worker killed: its jobs run again within the minute (needs a C compiler)",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
    onTestFinished(async () => rm(folder, { recursive: true, force: true }));
    await using redis = await startClockedRedis(folder);
    await using fleet = await startFleet({
      redisUrl: redis.url,
      dynamoDbUrl: inject("dynamoDbUrl"),
      latencyMs: 3_000,
    });
    const machine = await startMachine(fleet.folder, { by: "Date" }, 0);
    const [killed, left] = [
      await fleet.startWorker(undefined, machine.env),
      await fleet.startWorker(undefined, machine.env),
    ];
    const ids = await fleet.submit(Array.from({ length: 12 }, () => ({ deadlineMs: 60_000 })));
    await vi.waitFor(async () => expect((await fleet.counts()).active).toBeGreaterThanOrEqual(8), PATIENTLY);
    killed.kill("SIGKILL");
    // Every clock, or the worker that is left would see them apart and fetch nothing.
    await Promise.all([redis.set(-600), machine.set(-600_000)]);
    await killed.exit;
    await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), {
      timeout: 60_000,
      interval: 100,
    });
    const none = { waiting: 0, delayed: 0, active: 0, failed: 0 };
    await vi.waitFor(async () => expect(await fleet.counts()).toEqual(none), PATIENTLY);
    expect(left.running).toBe(true);
  },
);
