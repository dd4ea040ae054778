/** Shares of lanes with the smallest fleet: the order of lanes must not need many processes. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

/** 4,000 tokens a second, of which a call uses about 430: a busy machine can make so many. */
const TOKENS_PER_MINUTE = 240_000;
const TEXT = "Was der Bauer nicht kennt, frisst er nicht. ".repeat(36);
const MEASURED_MS = 25_000;

/** What a lane has saved up of its share at most, in time of its share: it may be missing at the end. */
const CREDIT_MS = 5_000;

test("with one worker, a saturated bulk lane gets its share of a saturated quota, and nothing is left unused", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    lanes: ["critical", "standard", "bulk"],
    slots: 32,
    tokensPerMinute: TOKENS_PER_MINUTE,
    latencyMs: 150,
  });
  // More of each lane than the quota carries in the time.
  const request = { messages: [{ role: "user", content: [{ text: TEXT }] }], maxTokens: 40 };
  const backlog = (lane: string) => Array.from({ length: 500 }, () => ({ lane, request }));
  const standard = await fleet.submit(backlog("standard"));
  const bulk = await fleet.submit(backlog("bulk"));
  await fleet.startWorker();
  await vi.waitFor(async () => expect((await fleet.calls()).length).toBeGreaterThan(20), PATIENTLY);

  const from = Date.now();
  await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
  const until = Date.now();

  const [first] = await fleet.ends(standard);
  expect(first).toBe("completed");
  const outcome = await fleet.outcome(standard[0] ?? "");
  const usage = outcome !== undefined && "answer" in outcome ? outcome.answer.usage : undefined;
  const tokens = (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0);
  const isBulk = new Set(bulk);
  const measured = (await fleet.calls()).filter(({ startedAt }) => startedAt >= from && startedAt < until);
  const callsOfBulk = measured.filter(({ job }) => isBulk.has(job)).length;
  const share = 0.05 * (1 - CREDIT_MS / MEASURED_MS);
  const used = (measured.length * tokens) / ((TOKENS_PER_MINUTE / 60_000) * (until - from));
  expect(callsOfBulk + 1).toBeGreaterThanOrEqual(share * measured.length);
  expect(callsOfBulk / measured.length).toBeLessThanOrEqual(0.08);
  expect(used).toBeGreaterThanOrEqual(0.95);
});
