/** Reserved against used tokens: sums of a fleet, read as means. */
import { randomBytes } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, expect, inject, test } from "vitest";
import { MOST_CLASSES, OTHER_CLASSES, UsageStore } from "../src/usage.ts";

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

test("tells at most so many classes apart, since callers name them", async () => {
  const space = keySpace(`t-${randomBytes(4).toString("hex")}`, "main");
  const store = new UsageStore(redis, space);
  const call = { pool: "claude", reservedTokens: 9, settledTokens: 9, maxTokens: 9, outputTokens: 7 };
  const named = Array.from({ length: MOST_CLASSES + 50 }, (_, index) => `class-${index}`);
  for (const promptClass of named) await store.add({ ...call, promptClass });
  await store.add({ ...call, promptClass: "class-0", outputTokens: 9 });
  const report = await store.report("claude");
  expect(report).toHaveLength(MOST_CLASSES + 1);
  expect(report.slice(0, 2)).toMatchObject([
    { promptClass: OTHER_CLASSES, calls: 50, longestOutputTokens: 7 },
    { promptClass: "class-0", calls: 2, longestOutputTokens: 9 },
  ]);
  expect(await redis.zcard(`${space}:usage:claude:longest`)).toBe(MOST_CLASSES + 1);
  await redis.del(`${space}:usage:claude`, `${space}:usage:claude:longest`);
});

test("tells how long answers are, once there are some", async () => {
  const space = keySpace(`t-${randomBytes(4).toString("hex")}`, "main");
  const store = new UsageStore(redis, space);
  const call = { pool: "claude", promptClass: "a", reservedTokens: 9, settledTokens: 9, maxTokens: 9 };
  expect(await store.meanOutputTokens("claude")).toBeUndefined();
  for (let calls = 0; calls < 19; calls += 1) await store.add({ ...call, outputTokens: 10 });
  expect(await store.meanOutputTokens("claude")).toBeUndefined();
  await store.add({ ...call, promptClass: "b", outputTokens: 50 });
  expect(await store.meanOutputTokens("claude")).toBe(12);
  await redis.del(`${space}:usage:claude`, `${space}:usage:claude:longest`);
});

test("begins anew where a version before this one has told far more classes apart", async () => {
  const space = keySpace(`t-${randomBytes(4).toString("hex")}`, "main");
  const store = new UsageStore(redis, space);
  const many = Array.from({ length: 3_000 }, (_, index) => [`class-${index}:calls`, "1"]);
  await redis.hset(`${space}:usage:claude`, Object.fromEntries(many));
  const call = { pool: "claude", reservedTokens: 9, settledTokens: 9, maxTokens: 9, outputTokens: 7 };
  await store.add({ ...call, promptClass: "new" });
  expect(await store.report("claude")).toMatchObject([{ promptClass: "new", calls: 1 }]);
  await redis.del(`${space}:usage:claude`, `${space}:usage:claude:longest`);
});
