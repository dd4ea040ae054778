import { describe, expect, test, vi } from "vitest";
import { assertFit, connect, type ConnectionProfile } from "../src/index.ts";
import { testRedis } from "./redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";

describe("a connection", () => {
  test.each<ConnectionProfile>(["producer", "command"])(
    "of a %s fails within seconds while Redis is down and works when it is back",
    async (profile) => {
      const service = await ownRedis();
      const redis = testRedis(profile, service.url);
      await redis.set("kept", "yes");
      await service.kill();
      const before = performance.now();
      await expect(redis.get("kept")).rejects.toThrow(
        /Reached the max retries|timed out|Connection is closed/,
      );
      expect(performance.now() - before).toBeLessThan(3_000);
      await service.restart();
      await vi.waitFor(async () => expect(await redis.get("kept")).toBe("yes"), { timeout: 5_000 });
    },
  );

  test("of a worker waits for Redis to come back", async () => {
    const service = await ownRedis();
    const redis = testRedis("worker", service.url);
    await redis.set("kept", "yes");
    await service.kill();
    const answer = redis.get("kept");
    await service.restart();
    expect(await answer).toBe("yes");
  });

  test("tells its owner why it cannot connect", async () => {
    const service = await ownRedis();
    await service.stop();
    const heard: Error[] = [];
    const redis = connect(service.url, "worker", (error) => heard.push(error));
    await vi.waitUntil(() => heard.length > 0);
    redis.disconnect();
    expect(heard[0]).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("assertFit", () => {
  test("takes a server that never evicts", async () => {
    await expect(assertFit(testRedis("command"))).resolves.toBeUndefined();
  });

  test.each(["allkeys-lru", "volatile-ttl"])("refuses one with %s and says what to set", async (policy) => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    await redis.config("SET", "maxmemory-policy", policy);
    await expect(assertFit(redis)).rejects.toThrow(
      `This Redis evicts keys when it is full (maxmemory-policy ${policy}), so accepted jobs could vanish. ` +
        "Set maxmemory-policy to noeviction",
    );
  });
});
