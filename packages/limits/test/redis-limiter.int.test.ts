import { randomUUID } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { createRedisLimiter, defaultLanes } from "../src/index.ts";
import { limiterSuite } from "./limiter.suite.ts";

const redis = connect(inject("redisUrl"), "command", () => undefined);
afterAll(() => redis.disconnect());

limiterSuite("redis", (now) =>
  createRedisLimiter({ redis, keySpace: keySpace("limits-test", randomUUID()), now }),
);

describe("redis limiter", () => {
  it("uses the clock of the server", async () => {
    const limiter = createRedisLimiter({ redis, keySpace: keySpace("limits-test", randomUUID()) });
    await limiter.configure("model", { quota: { tokensPerMinute: 60_000 }, lanes: defaultLanes });
    const ask = async (id: string) =>
      limiter.admit({ pool: "model", lane: "bulk", id, cost: { tokens: 985 }, ttlMs: 1_000 });
    expect(await ask("a")).toEqual({ type: "granted", waitMs: 0 });
    const second = await ask("b");
    expect(second.type === "granted" && second.waitMs).toBeGreaterThan(500);
  });
});
