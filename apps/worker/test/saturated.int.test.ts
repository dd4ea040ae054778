/** What the smallest fleet makes of a saturated quota: the order of lanes and full use must not need many processes. */
import { setTimeout as sleep } from "node:timers/promises";
import { startProxyTo } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type Fleet, type JobInput } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

/** 4,000 tokens a second, of which a call uses about 430: a busy machine can make so many. */
const TOKENS_PER_MINUTE = 240_000;
const TEXT = "Was der Bauer nicht kennt, frisst er nicht. ".repeat(36);
const REQUEST = { messages: [{ role: "user", content: [{ text: TEXT }] }], maxTokens: 40 };

/** What a lane has saved up of its share at most, in time of its share: it may be missing at the end. */
const CREDIT_MS = 5_000;

function startHere(lanes: readonly string[]): Promise<Fleet> {
  return startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    lanes,
    slots: 32,
    tokensPerMinute: TOKENS_PER_MINUTE,
    latencyMs: 150,
  });
}

/** More of a lane than the quota carries in the time. */
const backlog = (lane: string): JobInput[] => Array.from({ length: 500 }, () => ({ lane, request: REQUEST }));

/** The jobs that were called for in `windowMs`, once the fleet is under way, and the fraction of the quota they used. */
async function measure(fleet: Fleet, windowMs: number): Promise<{ jobs: string[]; used: number }> {
  await vi.waitFor(async () => expect((await fleet.calls()).length).toBeGreaterThan(20), PATIENTLY);
  const from = Date.now();
  await sleep(windowMs);
  const until = Date.now();
  const calls = await fleet.calls();
  const jobs = calls.filter(({ startedAt }) => startedAt >= from && startedAt < until).map(({ job }) => job);
  const outcome = await fleet.outcome(calls[0]?.job ?? "");
  if (outcome?.outcome !== "completed") throw new Error("Expected the first call to have been answered");
  const { inputTokens, outputTokens } = outcome.answer.usage;
  const quota = (TOKENS_PER_MINUTE / 60_000) * (until - from);
  return { jobs, used: (jobs.length * (inputTokens + outputTokens)) / quota };
}

test("with one worker, a saturated bulk lane gets its share and no more, and nothing is left unused", async () => {
  await using fleet = await startHere(["critical", "standard", "bulk"]);
  await fleet.submit(backlog("standard"));
  const bulk = new Set(await fleet.submit(backlog("bulk")));
  await fleet.startWorker();

  const windowMs = 25_000;
  const { jobs, used } = await measure(fleet, windowMs);

  const ofBulk = jobs.filter((id) => bulk.has(id)).length;
  const least = 0.05 * (1 - CREDIT_MS / windowMs) * jobs.length - 1;
  expect(ofBulk).toBeGreaterThanOrEqual(least);
  // 8 % is the promise (`pnpm chaos lanes`). After each moment in which a busy machine stands still the lanes are level.
  expect(ofBulk / jobs.length).toBeLessThanOrEqual(0.12);
  expect(used).toBeGreaterThanOrEqual(0.95);
});

test("with a Redis that is 100 ms away there and back, one worker uses most of the quota with one lane", async () => {
  await using redis = await startProxyTo(inject("redisUrl"));
  redis.set({ latencyMs: 50 });
  await using fleet = await startHere(["standard"]);
  await fleet.submit(backlog("standard"));
  await fleet.startWorker(undefined, { REDIS_URL: redis.url });

  const { used } = await measure(fleet, 12_000);

  expect(used).toBeGreaterThanOrEqual(0.6);
});
