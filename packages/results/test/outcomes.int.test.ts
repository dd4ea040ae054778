import type { Outcome } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { IDEMPOTENCY_WINDOW_MS, OUTCOME_TTL_MS, OutcomeStore } from "../src/index.ts";

const id = "p.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3";
const ended = { id, tenant: "acme", acceptedAt: 1_000, endedAt: 2_000, attempts: 1 };
const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 };
const completed: Outcome = {
  ...ended,
  outcome: "completed",
  answer: { text: "Grüße, \u{1F30A}", stopReason: "end_turn", model: "m", usage, latencyMs: 12 },
};
const dead: Outcome = {
  ...ended,
  outcome: "dead",
  failure: { kind: "terminal", errorClass: "ValidationException", message: "no" },
};

function store() {
  const redis = testRedis("command");
  const space = testKeySpace();
  return { redis, space, outcomes: new OutcomeStore(redis, space) };
}

describe("an outcome", () => {
  test("is unknown until the job has ended", async () => {
    expect(await store().outcomes.get(id)).toBeUndefined();
  });

  test.each([completed, { ...completed, outcome: "filtered" as const }, dead])(
    "is read as it was written: $outcome",
    async (outcome) => {
      const { outcomes } = store();
      expect(await outcomes.put(outcome)).toBe(true);
      expect(await outcomes.get(id)).toEqual(outcome);
    },
  );

  test("is kept once: the first end of a job is its end", async () => {
    const { outcomes } = store();
    expect(await outcomes.put(completed)).toBe(true);
    expect(await outcomes.put(dead)).toBe(false);
    expect(await outcomes.get(id)).toEqual(completed);
  });

  test("is kept once also when 20 runs end at once", async () => {
    const { outcomes } = store();
    const puts = Array.from({ length: 20 }, async (_, attempts) => outcomes.put({ ...completed, attempts }));
    const first = (await Promise.all(puts)).filter(Boolean);
    expect(first).toHaveLength(1);
  });

  test("outlives the idempotency window, and is not kept for ever", async () => {
    const { outcomes, redis, space } = store();
    await outcomes.put(completed);
    const [key = ""] = await redis.keys(`${space}:*`);
    const ttl = await redis.pttl(key);
    expect(ttl).toBeGreaterThan(OUTCOME_TTL_MS - 10_000);
    expect(ttl).toBeLessThanOrEqual(OUTCOME_TTL_MS);
    expect(OUTCOME_TTL_MS).toBeGreaterThanOrEqual(IDEMPOTENCY_WINDOW_MS);
  });

  test("that is not one of ours is an error, not an answer", async () => {
    const { outcomes, redis, space } = store();
    await outcomes.put(completed);
    const [key = ""] = await redis.keys(`${space}:*`);
    await redis.set(key, JSON.stringify({ ...completed, outcome: "lost" }));
    await expect(outcomes.get(id)).rejects.toThrow("outcome");
  });
});
