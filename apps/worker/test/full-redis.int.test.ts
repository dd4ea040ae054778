/** A Redis that has reached its `maxmemory`: workers start on it, drain it, and lose no answer to it. */
import { randomBytes } from "node:crypto";
import { connect } from "@sluice/redis";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";
import { ASYNC_MODEL, PATIENTLY, startFleet, type FleetOptions } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

const MB = 1024 * 1024;

const long = () => ({
  request: {
    messages: [{ role: "user", content: [{ text: randomBytes(100_000).toString("hex") }] }],
    maxTokens: 50,
  },
});

async function startOnOwnRedis(latencyMs: number, options: Partial<FleetOptions> = {}) {
  const { url: redisUrl } = await ownRedis();
  const fleet = await startFleet({ redisUrl, dynamoDbUrl: inject("dynamoDbUrl"), latencyMs, ...options });
  onTestFinished(async () => fleet[Symbol.asyncDispose]());
  const redis = connect(redisUrl, "command", () => {});
  onTestFinished(() => redis.disconnect());
  const used = async (): Promise<number> =>
    Number(/^used_memory_dataset:(\d+)/m.exec(await redis.info("memory"))?.[1]);
  /** Jobs are in; from now on Redis is full, by so many bytes. */
  const fill = async (beyond = 0): Promise<void> => {
    await redis.config("SET", "maxmemory", Math.round((await used()) - beyond));
    await expect(redis.set("more", "x")).rejects.toThrow("OOM");
  };
  return { fleet, redis, fill };
}

test("a worker starts on a Redis that is full of jobs, and drains it", async () => {
  const { fleet, fill } = await startOnOwnRedis(20);
  const ids = await fleet.submit(Array.from({ length: 24 }, long));
  await fill();
  await fleet.startWorker();
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
  await vi.waitFor(async () => expect(await fleet.counts()).toMatchObject({ waiting: 0, active: 0 }));
  expect([...(await fleet.callsByJob()).values()]).toEqual(ids.map(() => 1));
});

test("answers to calls in flight are kept when Redis is full, also by a worker that leaves; the rest runs later", async () => {
  const { fleet, redis, fill } = await startOnOwnRedis(1_500);
  await redis.set("filler", randomBytes(16 * MB));
  const first = await fleet.startWorker();
  const ids = await fleet.submit(Array.from({ length: 12 }, () => ({})));
  const started = async (): Promise<number> =>
    (await Promise.all(ids.map(async (id) => redis.hget(`${fleet.keySpace}:ledger:${id}`, "owner")))).filter(
      (owner) => owner !== null,
    ).length;
  await vi.waitFor(async () => expect(await started()).toBe(4), PATIENTLY);
  await fill(8 * MB);
  first.kill("SIGTERM");
  expect(await first.exit).toMatchObject({ code: 0 });
  const ends = await fleet.ends(ids);
  expect(ends.filter((end) => end === "completed")).toHaveLength(4);
  expect(await fleet.counts()).toEqual({ waiting: 8, delayed: 0, active: 0, failed: 0 });

  // A worker that comes now waits, and goes on by itself when something has made room.
  await fleet.startWorker();
  await redis.del("filler");
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
  expect([...(await fleet.callsByJob()).values()]).toEqual(ids.map(() => 1));
});

test("an async call that was started on a full Redis is polled by the next worker, and not started again", async () => {
  const { fleet, redis, fill } = await startOnOwnRedis(1_500, { poolKeys: { model: ASYNC_MODEL } });
  const request = { modelInput: { prompt: "A mill by the river" }, outputS3Uri: "s3://answers/mills" };
  const [id = ""] = await fleet.submit([{ kind: "async", request }]);
  // Large enough for a fetch beyond the limit, whatever connections take.
  await redis.setrange("filler", 96 * MB, "x");
  await fill();
  const first = await fleet.startWorker(undefined, { SLUICE_SHUTDOWN_GRACE_MS: "500" });
  const starts = async (): Promise<number> =>
    (await fleet.calls()).filter(({ operation }) => operation === "StartAsyncInvoke").length;
  await vi.waitFor(async () => expect(await starts()).toBe(1), PATIENTLY);
  first.kill("SIGTERM");
  await first.exit;
  // Nobody polls it yet.
  expect(await redis.exists(`${fleet.keySpace}:test.polls.internal:${id}`)).toBe(0);

  await fleet.startWorker();
  await redis.config("SET", "maxmemory", 0);
  await vi.waitFor(async () => expect(await fleet.ends([id])).toEqual(["completed"]), PATIENTLY);
  expect(await starts()).toBe(1);
});
