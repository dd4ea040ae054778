import { describe, expect, test } from "vitest";
import { defineScript, type Script } from "../src/index.ts";
import { testKeySpace, testRedis } from "./redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";

const add: Script<{ key: string; by: number | string }, number> = defineScript(
  new URL("fixtures/add.lua", import.meta.url),
  ({ key, by }) => ({ keys: [key], argv: [by] }),
  (reply) => {
    if (typeof reply !== "number") throw new TypeError("Expected a number");
    return reply * 10;
  },
);

const addWhenFull: Script<string, unknown> = defineScript(
  new URL("fixtures/add.lua", import.meta.url),
  (key) => ({ keys: [key], argv: [1] }),
  (reply) => reply,
  { whenFull: true },
);

describe("a script", () => {
  test("writes to a full Redis if it may, and else does not", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    await redis.config("SET", "maxmemory", 1);
    await expect(add.run(redis, { key: "n", by: 1 })).rejects.toThrow("OOM");
    expect(await addWhenFull.run(redis, "n")).toBe(1);
    await redis.script("FLUSH");
    expect(await addWhenFull.run(redis, "n")).toBe(2);
  });

  test("runs with its keys and arguments and decodes the reply", async () => {
    const redis = testRedis("command");
    const key = `${testKeySpace()}:n`;
    expect(await add.run(redis, { key, by: 2 })).toBe(20);
    expect(await add.run(redis, { key, by: 3 })).toBe(50);
  });

  test("runs once on a server that does not know it, before and after a flush of its scripts", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    expect(await add.run(redis, { key: "n", by: 1 })).toBe(10);
    await redis.script("FLUSH");
    expect(await add.run(redis, { key: "n", by: 1 })).toBe(20);
  });

  test("is known to a server after its first run", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    for (let run = 0; run < 3; run += 1) await add.run(redis, { key: "n", by: 1 });
    const stats = await redis.info("commandstats");
    expect(stats).toMatch(/cmdstat_eval:calls=1,/);
    expect(stats).toMatch(/cmdstat_evalsha:calls=3,.*failed_calls=1/);
  });

  test("rejects with the error of Redis, and does not run again for it", async () => {
    const redis = testRedis("command");
    const key = `${testKeySpace()}:n`;
    await expect(add.run(redis, { key, by: "many" })).rejects.toThrow("not an integer");
    expect(await redis.exists(key)).toBe(0);
  });
});
