import { expect, it } from "vitest";
import { createMemoryLimiter, defaultLanes, fits, misfit } from "../src/index.ts";

const limits = { quota: { tokensPerMinute: 10_000 } };

it("refuses a cost that no minute of the quota carries, and says so", () => {
  expect(misfit(limits, { tokens: 10_001 })).toBe(
    "Expected a cost of at most 10000 tokens (the pool's 10000 per minute), got 10001: " +
      "shorten the prompt, lower `max_tokens` or raise the quota",
  );
  expect(fits(limits, { tokens: 10_001 })).toBe(false);
  expect(misfit({ ...limits, share: 0.5 }, { tokens: 5_001 })).toContain(
    "0.5 of the pool's 10000 per minute",
  );
  expect(misfit({ quota: { tokensPerDay: 1_000 } }, { "tokens-per-day": 990 })).toContain(
    "at most 985 tokens",
  );
});

it.each([{ pace: 0.985 }, { share: 0.1 }])("accepts one request whatever little the quota is: %j", (part) => {
  const one = { quota: { requestsPerMinute: 1 }, ...part };
  expect(misfit(one, { requests: 1 })).toBeUndefined();
  expect(misfit(one, { requests: 2 })).toContain("at most 1 requests");
});

it("accepts what fits, and dimensions without a quota", () => {
  expect(misfit(limits, { tokens: 10_000, requests: 1e9 })).toBeUndefined();
});

it("accepts one request a minute, whatever the pace and the share make of it", () => {
  expect(fits({ quota: { requestsPerMinute: 1 } }, { requests: 1 })).toBe(true);
  expect(fits({ quota: { requestsPerMinute: 1 }, share: 0.5 }, { requests: 1 })).toBe(true);
  expect(fits({ quota: { requestsPerMinute: 1 } }, { requests: 2 })).toBe(false);
});

it.each([
  { quota: { requestsPerMinute: 1, tokensPerMinute: 10_000 }, cost: { requests: 1, tokens: 100 } },
  { quota: { requestsPerMinute: 60, tokensPerMinute: 10_000 }, cost: { requests: 1, tokens: 10_000 } },
])("what fits is granted, and starts within about a minute: $cost of $quota", async ({ quota, cost }) => {
  const clock = { ms: 1_800_000_000_000 };
  const limiter = createMemoryLimiter({ now: () => clock.ms });
  await limiter.configure("model", { quota, lanes: defaultLanes });
  const startedAt: number[] = [];
  for (let id = 0; startedAt.length < 3;) {
    expect(fits({ quota }, cost)).toBe(true);
    const ask = { pool: "model", lane: "bulk", id: `${id}`, job: `${id}`, cost, ttlMs: 60_000 };
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    const answer = await limiter.admit(ask);
    if (answer.type === "granted") {
      startedAt.push(clock.ms + answer.waitMs);
      id++;
    } else {
      clock.ms += answer.afterMs;
    }
  }
  const gaps = startedAt.slice(1).map((at, index) => at - (startedAt[index] ?? 0));
  for (const gap of gaps) {
    expect(gap).toBeGreaterThanOrEqual(60_000);
    expect(gap).toBeLessThanOrEqual(61_500);
  }
});
