import { randomUUID } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { createRedisLimiter, guardLimiter, watchLimits, type LimitsChange } from "../src/index.ts";
import { poolKeys } from "../src/keys.ts";
import { adaptiveSuite } from "./adaptive.suite.ts";
import { breakerSuite } from "./breaker.suite.ts";
import { limits, POOL, type Create } from "./harness.ts";
import { limiterSuite } from "./limiter.suite.ts";

const redis = connect(inject("redisUrl"), "command", () => undefined);
const subscriber = connect(inject("redisUrl"), "worker", () => undefined);
afterAll(() => {
  redis.disconnect();
  subscriber.disconnect();
});

const space = (): ReturnType<typeof keySpace> => keySpace("limits-test", randomUUID());
const create: Create = (now) => createRedisLimiter({ redis, keySpace: space(), now });

limiterSuite("redis", create);
adaptiveSuite("redis", create);
breakerSuite("redis", create);

describe("limiter in redis alone", () => {
  const ask = { pool: POOL, lane: "bulk", job: "a", cost: { tokens: 985 }, ttlMs: 1_000 };

  it("uses the clock of the server", async () => {
    const limiter = createRedisLimiter({ redis, keySpace: space() });
    await limiter.configure(POOL, limits);
    expect(await limiter.admit({ ...ask, id: "a" })).toEqual({ type: "granted", waitMs: 0 });
    const second = await limiter.admit({ ...ask, id: "b" });
    expect(second.type === "granted" && second.waitMs).toBeGreaterThan(500);
  });

  it("declares a lost pool anew, and learns: calls are in flight that nobody knows of", async () => {
    const keys = space();
    const limiter = createRedisLimiter({ redis, keySpace: keys });
    await limiter.configure(POOL, limits);
    await redis.del(Object.values(poolKeys(keys, POOL)));
    expect(await limiter.admit({ ...ask, id: "a" })).toMatchObject({ type: "granted" });
    expect((await limiter.inspect(POOL)).dimensions.tokens?.ceiling).toBeCloseTo(0.5);
  });

  it("learns when only the state was lost", async () => {
    const keys = space();
    const limiter = createRedisLimiter({ redis, keySpace: keys });
    await limiter.configure(POOL, limits);
    await redis.del(poolKeys(keys, POOL).state);
    await limiter.admit({ ...ask, id: "a" });
    expect((await limiter.inspect(POOL)).dimensions.tokens?.ceiling).toBeCloseTo(0.5);
  });

  it("serves two workers with one set of limits", async () => {
    const keys = space();
    const old = createRedisLimiter({ redis, keySpace: keys });
    const fresh = createRedisLimiter({ redis, keySpace: keys });
    await old.configure(POOL, limits);
    await fresh.configure(POOL, { ...limits, quota: { tokensPerMinute: 120_000 } });
    expect(await old.inspect(POOL)).toMatchObject({
      version: 2,
      limits: { quota: { tokensPerMinute: 120_000 } },
    });
  });

  it("is closed for admission while Redis is away, and keeps what a call has to settle", async () => {
    // Port 9 is the discard service: nothing listens there.
    const away = connect("redis://127.0.0.1:9", "command", () => undefined);
    const limiter = guardLimiter(createRedisLimiter({ redis: away, keySpace: space() }));
    expect(await limiter.admit({ ...ask, id: "a" })).toEqual({
      type: "open",
      afterMs: 1_000,
      cause: "local",
    });
    await expect(limiter.settle({ pool: POOL, id: "a", outcome: "ok", actual: {} })).rejects.toThrow(
      "retries",
    );
    away.disconnect();
  });

  it("publishes what changes", async () => {
    const keys = space();
    const limiter = createRedisLimiter({ redis, keySpace: keys });
    await limiter.configure(POOL, limits);
    const { promise, resolve } = Promise.withResolvers<LimitsChange>();
    const stop = await watchLimits(subscriber, keys, resolve);
    await limiter.operate(POOL, { type: "isolate" });
    expect(await promise).toMatchObject({ type: "breaker", pool: POOL, from: "closed", to: "isolated" });
    await stop();
  });
});
