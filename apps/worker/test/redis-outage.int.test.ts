/** Redis dies in the middle of a run and comes back on the same port with what it had on disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis, type RunningService } from "@sluice/services";
import { expect, inject, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

test("Redis killed and restarted under two workers: every job completes, no worker ends", async () => {
  await using folder = await temporaryFolder();
  await using redis = await startRedis({ dataDir: folder.path, fsync: "always" });
  await using fleet = await startFleet({
    redisUrl: redis.url,
    dynamoDbUrl: inject("dynamoDbUrl"),
    lanes: ["critical", "standard", "bulk"],
    latencyMs: 300,
  });
  // Long enough that no lock runs out meanwhile: then nobody pays twice.
  const env = { SLUICE_LOCK_IN_HAND_MS: "10000", SLUICE_LOCK_CALL_MS: "20000" };
  const workers = await Promise.all([fleet.startWorker(undefined, env), fleet.startWorker(undefined, env)]);
  const ids = await fleet.submit(
    Array.from({ length: 90 }, (_, index) => ({ lane: ["critical", "standard", "bulk"][index % 3] ?? "" })),
  );
  await Promise.all(
    workers.map(async (worker) => worker.logged("a completion", ({ msg }) => msg === "job:completed")),
  );

  await redis.kill();
  await Promise.all(
    workers.map(async (worker) => worker.logged("the outage", ({ msg }) => msg === "redis:trouble")),
  );
  await redis.restart();
  const before = await fleet.ends(ids);
  expect(before).toContain("completed");
  expect(before).toContain(undefined);

  await vi.waitFor(async () => {
    expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed"));
    expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
  }, PATIENTLY);
  expect(workers.map(({ running }) => running)).toEqual([true, true]);
  expect(await fleet.callsByJob("completed")).toEqual(new Map(ids.map((id) => [id, 1])));
  expect(fleet.log()).not.toContain(MARKER);

  for (const worker of workers) worker.kill("SIGTERM");
  expect(await Promise.all(workers.map(async ({ exit }) => exit))).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ]);
});

test.each([
  ["gone", async (redis: RunningService) => redis.kill()],
  ["hung", async (redis: RunningService) => void process.kill(redis.pid, "SIGSTOP")],
])("an idle worker whose Redis is %s has nothing to hand back, and leaves at once", async (how, end) => {
  await using folder = await temporaryFolder();
  await using redis = await startRedis({ dataDir: folder.path, fsync: "always" });
  await using fleet = await startFleet({
    redisUrl: redis.url,
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 100,
  });
  const worker = await fleet.startWorker();
  await fleet.submit([{}]);
  await worker.logged("a completion", ({ msg }) => msg === "job:completed");
  const { pid } = redis;
  await end(redis);
  const askedAt = performance.now();
  worker.kill("SIGTERM");
  const left = await worker.exit;
  const tookMs = performance.now() - askedAt;
  // What hangs can neither be asked for its end nor for the fleet's keys.
  if (how === "hung") process.kill(pid, "SIGCONT");
  else await redis.restart();
  expect({ ...left, log: worker.text }).toMatchObject({ code: 0 });
  expect(worker.lines).toContainEqual(expect.objectContaining({ msg: "worker:stopped" }));
  expect(tookMs).toBeLessThan(LEAVES_WITHIN_MS);
});

/** A second of silence, and half a one for what ends with its connection; the rest is for a busy machine. */
const LEAVES_WITHIN_MS = 4_000;

test("a worker whose Redis is gone for good still leaves on SIGTERM", async () => {
  await using folder = await temporaryFolder();
  await using redis = await startRedis({ dataDir: folder.path, fsync: "always" });
  await using fleet = await startFleet({
    redisUrl: redis.url,
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 100,
  });
  const worker = await fleet.startWorker(undefined, { SLUICE_SHUTDOWN_GRACE_MS: "500" });
  await fleet.submit([{}]);
  await worker.logged("a completion", ({ msg }) => msg === "job:completed");
  await redis.kill();
  await worker.logged("the outage", ({ msg }) => msg === "redis:trouble");

  worker.kill("SIGTERM");
  expect(await worker.exit).toMatchObject({ code: 0 });
  await redis.restart();
});

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "sluice-test-"));
  return { path, [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }) };
}
