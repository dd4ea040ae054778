import { createMemoryLimiter, defaultLanes } from "@sluice/limits";
import { expect, test } from "vitest";
import { closedForMs, poolLine } from "../src/lanes/pool-line.ts";

const DECLARED = { tokensPerMinute: 1_000_000, requestsPerMinute: 600 };

test("a pool whose quota was set by hand says so, with both figures", async () => {
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  expect(poolLine(await limiter.inspect("nova"), DECLARED)).not.toContain("file");
  await limiter.setQuota("nova", { tokensPerMinute: 200_000, requestsPerMinute: null });
  const line = poolLine(await limiter.inspect("nova"), DECLARED);
  expect(line).toContain("Quota not as in the file: 200,000 tokens/min instead of 1,000,000");
  expect(line).toContain("Quota not as in the file: no limit requests/min instead of 600");
});

test("a suspected pool does not pass for one that takes calls", async () => {
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  const call = { pool: "nova", lane: "bulk", cost: { tokens: 1 }, ttlMs: 60_000 };
  for (const id of ["a", "b", "c", "d", "e"]) {
    await limiter.admit({ ...call, id, job: id });
    await limiter.settle({ pool: "nova", id, outcome: "systemic", actual: {} });
  }
  const pool = await limiter.inspect("nova");
  expect(closedForMs(pool)).toBeGreaterThan(0);
  expect(poolLine(pool, DECLARED)).toContain("suspects that access is denied, 5 times in a row");
});

test("a pool that the server wants no calls of says for how long", async () => {
  const limiter = createMemoryLimiter({ now: () => 1_800_000_000_000 });
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  await limiter.admit({ pool: "nova", lane: "bulk", id: "a", job: "a", cost: { tokens: 1 }, ttlMs: 60_000 });
  await limiter.settle({ pool: "nova", id: "a", outcome: "throttled", actual: {}, holdMs: 30_000 });
  const pool = await limiter.inspect("nova");
  expect(closedForMs(pool)).toBe(30_000);
  expect(poolLine(pool, DECLARED)).toContain("Held at the server's wish for 30 s");
});

test("workers without credentials are said first", async () => {
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  const identity = "1 of 3 workers has no valid credentials (ExpiredTokenException)";
  const line = poolLine({ ...(await limiter.inspect("nova")), identity }, DECLARED);
  expect(line.startsWith(`${identity} · Breaker closed`)).toBe(true);
});

test("the part of the quota that is used is that of the whole quota: pace, share and ceiling together", async () => {
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes, share: 0.8, pace: 1 });
  const pool = await limiter.inspect("nova");
  expect(poolLine(pool, DECLARED)).toContain("800,000 tokens/min, 80 % of the quota, ");
  const { tokens } = pool.dimensions;
  if (tokens === undefined) throw new Error("Expected tokens to be limited");
  const held = { ...tokens, ceiling: 0.875, perMinute: tokens.perMinute * 0.875 };
  expect(poolLine({ ...pool, dimensions: { tokens: held } }, DECLARED)).toContain(
    "700,000 tokens/min, 70 % of the quota (throttles hold it at 88 % of its rate), ",
  );
});

test("a pool that an operator has shut says so, and not that calls were denied or failed", async () => {
  const limiter = createMemoryLimiter({ now: () => 1_800_000_000_000 });
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  await limiter.operate("nova", { type: "open", forMs: 30_000 });
  expect(poolLine(await limiter.inspect("nova"), DECLARED)).toContain(
    "Breaker open by hand: next probe in 30 s",
  );
  await limiter.operate("nova", { type: "isolate" });
  const line = poolLine(await limiter.inspect("nova"), DECLARED);
  expect(line).toContain("Breaker isolated by hand: no call is made until it is closed");
  expect(line).not.toContain("denied");
});

test("a closed breaker that hears of denied access says so, and what was done by hand has a name", async () => {
  const limiter = createMemoryLimiter({ now: () => 1_800_000_000_000 });
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  await limiter.admit({ pool: "nova", lane: "bulk", id: "a", job: "a", cost: { tokens: 1 }, ttlMs: 60_000 });
  await limiter.settle({ pool: "nova", id: "a", outcome: "systemic", actual: {} });
  const operation = {
    version: 1,
    id: "1",
    phase: "done",
    atMs: 1_800_000_000_000,
    by: "anna",
    from: "ops@desk",
    action: "breaker close",
  } as const;
  const line = poolLine({ ...(await limiter.inspect("nova")), operation }, DECLARED);
  expect(line).toContain("Breaker closed, but access was denied (1 in a row)");
  expect(line).toContain("By hand: breaker close, by anna at 2027-01-15 08:00 UTC");
});
