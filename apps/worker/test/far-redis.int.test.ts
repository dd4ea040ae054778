/** What the smallest fleet makes of a saturated quota when Redis is far: round trips side by side, not one after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { startProxyTo } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

/** 4,000 tokens a second, of which a call uses about 430: a busy machine can make so many. */
const TOKENS_PER_MINUTE = 240_000;
const TEXT = "Was der Bauer nicht kennt, frisst er nicht. ".repeat(36);
const REQUEST = { messages: [{ role: "user", content: [{ text: TEXT }] }], maxTokens: 40 };

function startHere(): Promise<Fleet> {
  return startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    slots: 32,
    tokensPerMinute: TOKENS_PER_MINUTE,
    latencyMs: 150,
  });
}

/** More than the quota carries in the time. */
const BACKLOG = Array.from({ length: 500 }, () => ({ request: REQUEST }));

/** The fraction of the quota that the calls of `windowMs` used, once the fleet is under way. */
async function usedIn(fleet: Fleet, windowMs: number): Promise<number> {
  await vi.waitFor(async () => expect((await fleet.calls()).length).toBeGreaterThan(20), PATIENTLY);
  const from = Date.now();
  await sleep(windowMs);
  const until = Date.now();
  const calls = await fleet.calls();
  const started = calls.filter(({ startedAt }) => startedAt >= from && startedAt < until).length;
  const outcome = await fleet.outcome(calls[0]?.job ?? "");
  if (outcome?.outcome !== "completed") throw new Error("Expected the first call to have been answered");
  const { inputTokens, outputTokens } = outcome.answer.usage;
  const quota = (TOKENS_PER_MINUTE / 60_000) * (until - from);
  return (started * (inputTokens + outputTokens)) / quota;
}

test("with a Redis that is 100 ms away there and back, one worker uses most of the quota with one lane", async () => {
  await using redis = await startProxyTo(inject("redisUrl"));
  redis.set({ latencyMs: 50 });
  await using fleet = await startHere();
  await fleet.submit(BACKLOG);
  await fleet.startWorker(undefined, { REDIS_URL: redis.url });

  expect(await usedIn(fleet, 12_000)).toBeGreaterThanOrEqual(0.6);
});
