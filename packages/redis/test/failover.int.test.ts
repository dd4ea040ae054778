/** Fail-overs that leave connections open: each must find the new primary by itself. */
import { describe, expect, test, vi } from "vitest";
import { defineScript, type ConnectionProfile, type Script } from "../src/index.ts";
import { replicaPair } from "./failover.ts";
import { testRedis } from "./redis.ts";

const add: Script<{ key: string; by: number }, unknown> = defineScript(
  new URL("fixtures/add.lua", import.meta.url),
  ({ key, by }) => ({ keys: [key], argv: [by] }),
  (reply) => reply,
);

describe("a connection to a demoted primary", () => {
  test.each<ConnectionProfile>(["worker", "producer", "command"])(
    "of the profile %s writes to the new one, no command lost",
    async (profile) => {
      const pair = await replicaPair();
      const redis = testRedis(profile, pair.url);
      await add.run(redis, { key: "n", by: 1 });
      await pair.failOver();
      const written = await Promise.all([
        redis.incr("i"),
        add.run(redis, { key: "n", by: 1 }),
        redis.pipeline().incr("m").incr("m").exec(),
      ]);
      expect(written).toEqual([
        1,
        2,
        [
          [null, 1],
          [null, 2],
        ],
      ]);
      expect(await pair.replica.get("n")).toBe("2");
    },
  );

  test("that blocks is woken and waits at the new one", async () => {
    const pair = await replicaPair();
    const redis = testRedis("worker", pair.url);
    const popped = redis.blpop("list", 0);
    await vi.waitFor(async () => expect(await pair.primary.info("clients")).toMatch(/blocked_clients:1/));
    await pair.failOver();
    await pair.replica.rpush("list", "kept");
    expect(await popped).toEqual(["list", "kept"]);
  });
});
