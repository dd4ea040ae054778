/** What people do by hand on a Redis that has no memory left. */
import { connect, keySpace } from "@sluice/redis";
import { expect, onTestFinished, test } from "vitest";
import { ownRedis } from "../../services/test/own-redis.ts";
import { createOperations, createQuotaLog, createRedisLimiter } from "../src/index.ts";
import { limits, POOL } from "./harness.ts";

test("a breaker and a quota are moved on a full Redis, and that is on record", async () => {
  const { url } = await ownRedis();
  const redis = connect(url, "command", () => undefined);
  onTestFinished(() => redis.disconnect());
  const keys = keySpace("limits-full", "lab");
  const limiter = createRedisLimiter({ redis, keySpace: keys });
  await limiter.configure(POOL, limits);
  await redis.config("SET", "maxmemory", 1);
  await expect(redis.set("x", "y")).rejects.toThrow("OOM");

  const operations = createOperations(redis, keys);
  const act = { by: "anna", from: "ops@desk" };
  await operations.record(POOL, { ...act, action: "breaker isolate" }, async () =>
    limiter.operate(POOL, { type: "isolate" }),
  );
  expect((await limiter.inspect(POOL)).breaker).toMatchObject({ phase: "isolated" });

  const from = limits.quota;
  const to = { ...from, tokensPerMinute: 120_000 };
  const log = createQuotaLog(redis, keys);
  await operations.record(POOL, { ...act, action: "quota set" }, async () => {
    await log.add(POOL, { atMs: 1, by: act.by, from, to });
    return limiter.setQuota(POOL, to);
  });
  expect((await limiter.inspect(POOL)).limits.quota).toMatchObject({ tokensPerMinute: 120_000 });
  expect(await log.entries(POOL, 10)).toMatchObject([{ by: "anna", to }]);
  const phases = (await operations.entries(POOL, 10)).map(({ phase, action }) => `${action} ${phase}`);
  expect(phases).toEqual([
    "quota set done",
    "quota set intent",
    "breaker isolate done",
    "breaker isolate intent",
  ]);
});
