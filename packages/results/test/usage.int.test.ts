/** Reserved against used tokens: sums of a fleet, read as means. */
import { randomBytes } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, expect, inject, test } from "vitest";
import { UsageStore } from "../src/usage.ts";

const redis = connect(inject("redisUrl"), "command", () => {});
afterAll(() => redis.disconnect());

test("adds up calls of many writers by class, and reports means and the longest answer", async () => {
  const space = keySpace(`t-${randomBytes(4).toString("hex")}`, "main");
  const store = new UsageStore(redis, space);
  const call = { pool: "claude", promptClass: "summary", reservedTokens: 900, maxTokens: 500 };
  await Promise.all([
    ...Array.from({ length: 9 }, async () => store.add({ ...call, settledTokens: 300, outputTokens: 40 })),
    store.add({ ...call, settledTokens: 600, outputTokens: 140 }),
    store.add({ ...call, promptClass: "max-500", settledTokens: 100, outputTokens: 10 }),
  ]);
  expect(await store.report("claude")).toEqual([
    {
      promptClass: "summary",
      calls: 10,
      reservedTokens: 900,
      settledTokens: 330,
      maxTokens: 500,
      outputTokens: 50,
      longestOutputTokens: 140,
    },
    {
      promptClass: "max-500",
      calls: 1,
      reservedTokens: 900,
      settledTokens: 100,
      maxTokens: 500,
      outputTokens: 10,
      longestOutputTokens: 10,
    },
  ]);
  expect(await store.report("nova")).toEqual([]);
  for (const key of [`${space}:usage:claude`, `${space}:usage:claude:longest`]) {
    expect(await redis.ttl(key)).toBeGreaterThan(0);
  }
});
