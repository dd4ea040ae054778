/** Redis changes under running workers: another takes its place, it comes back empty, its disk is full for a while. */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { jobDataSchema } from "@sluice/job";
import { expect, inject, test, vi } from "vitest";
import { replicaPair } from "../../../packages/redis/test/failover.ts";
import { testRedis } from "../../../packages/redis/test/redis.ts";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";
import { PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

const LANES = ["critical", "bulk"];
const start = async (redisUrl: string): Promise<Fleet> =>
  startFleet({ redisUrl, dynamoDbUrl: inject("dynamoDbUrl"), lanes: LANES, latencyMs: 100 });
const jobs = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ lane: LANES[index % 2] ?? "" }));

async function allDone(fleet: Fleet, ids: readonly string[]): Promise<void> {
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
}

test("a fail-over that leaves every connection open: all lanes go on within seconds", async () => {
  const pair = await replicaPair();
  await using fleet = await start(pair.url);
  const worker = await fleet.startWorker();
  await allDone(fleet, await fleet.submit(jobs(4)));

  await pair.failOver();
  const failedOverAt = performance.now();
  await allDone(fleet, await fleet.submit(jobs(20)));
  expect(performance.now() - failedOverAt).toBeLessThan(15_000);
  await worker.logged("the change", ({ msg }) => msg === "redis:restarted");
  // Nothing of it is left at the former primary but what replication brought there.
  expect((await pair.replica.info("replication")).includes("role:master")).toBe(true);
});

test("Redis comes back empty: said loudly, the limits are there again, and the rate begins at half", async () => {
  const { url } = await ownRedis();
  await using fleet = await start(url);
  const worker = await fleet.startWorker();
  await allDone(fleet, await fleet.submit(jobs(4)));
  expect((await fleet.limiter.inspect("test")).dimensions.tokens?.ceiling).toBe(1);

  await testRedis("command", url).flushall();
  await worker.logged("the loss", ({ msg, level }) => msg === "redis:emptied" && level === "error");
  await vi.waitFor(async () => {
    expect((await fleet.limiter.inspect("test")).dimensions.tokens?.ceiling).toBeLessThan(0.9);
  }, PATIENTLY);
  await allDone(fleet, await fleet.submit(jobs(4)));
});

test("a disk that was full and has room again: the lanes drain at full speed at once", async () => {
  const { url } = await ownRedis();
  await using fleet = await start(url);
  const worker = await fleet.startWorker();
  await allDone(fleet, await fleet.submit(jobs(4)));
  const ids = await fleet.submit(jobs(60));

  const redis = testRedis("command", url);
  const setting = async (name: string): Promise<string> => {
    const reply = await redis.config("GET", name);
    return Array.isArray(reply) ? String(reply[1]) : "";
  };
  // A snapshot cannot take the place of a folder, and Redis refuses every write until one succeeds.
  const path = join(await setting("dir"), await setting("dbfilename"));
  await mkdir(path);
  await redis.config("SET", "save", "3600 1");
  await redis.bgsave();
  await worker.logged("the full disk", ({ msg, code }) => msg === "redis:trouble" && code === "disk");
  await vi.waitFor(async () => expect(await redis.set("probe", "1").catch(String)).toContain("MISCONF"));
  const before = (await fleet.ends(ids)).filter((end) => end !== undefined).length;
  expect(before).toBeLessThan(60);

  await rmdir(path);
  await redis.bgsave();
  await worker.logged("its end", ({ msg, code }) => msg === "redis:recovered" && code === "disk");
  const recoveredAt = performance.now();
  await allDone(fleet, ids);
  // 60 calls of 100 ms over 4 slots are 1.5 s.
  expect(performance.now() - recoveredAt).toBeLessThan(8_000);
});

test("Redis away for a while is a handful of lines", async () => {
  const service = await ownRedis();
  await using fleet = await start(service.url);
  const worker = await fleet.startWorker();
  await allDone(fleet, await fleet.submit(jobs(4)));
  await service.kill();
  await worker.logged("the outage", ({ msg }) => msg === "redis:trouble");
  await worker.logged("a summary", ({ msg }) => msg === "error:repeated");
  await service.restart();
  await worker.logged("the recovery", ({ msg }) => msg === "redis:recovered");
  const loud = worker.lines.filter(({ level }) => level === "error" || level === "warn");
  expect(loud.length).toBeLessThan(15);
});

test("Redis has lost a death: the job runs again, and its letter is resolved when it is answered", async () => {
  const pair = await replicaPair();
  await using fleet = await start(pair.url);
  const worker = await fleet.startWorker(undefined, { SLUICE_RECONCILE_INTERVAL_MS: "500" });
  const [id = ""] = await fleet.submit([{ lane: "bulk", delayMs: 4_000 }]);
  // As the mover left it; what it wrote to Redis is what is lost.
  const stored = await fleet.redis.hget(`${fleet.keySpace}:test.bulk:${id}`, "data");
  const failure = { kind: "terminal", errorClass: "ValidationException", message: "Too long" } as const;
  await fleet.deadLetters.put({
    data: jobDataSchema.parse(JSON.parse(stored ?? "")),
    failure,
    attempts: 1,
    stalls: 0,
    diedAt: Date.now(),
  });
  await pair.failOver();
  await worker.logged("the change", ({ msg }) => msg === "redis:restarted");
  await allDone(fleet, [id]);
  await vi.waitFor(async () => expect((await fleet.deadLetters.look(id))?.state).toBe("resolved"), PATIENTLY);
});
