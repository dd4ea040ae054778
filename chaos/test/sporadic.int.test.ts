/** A part of `pnpm chaos sporadic`: a model that is slow for a test, and a short storm. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { offer } from "../src/sporadic/offer.ts";
import { storm } from "../src/sporadic/storm.ts";

async function common() {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
  const [redisUrl, dynamoDbUrl] = [inject("redisUrl"), inject("dynamoDbUrl")];
  return { seed: 7, dataDir, redisUrl, dynamoDbUrl, onProgress: () => {} };
}

test("a healthy model that fails now and then answers at least 85 %", { timeout: 120_000 }, async () => {
  const offered = await offer({
    ...(await common()),
    arms: [
      { name: "4s-503-10", latencyMs: 4_000, fault: "ServiceUnavailableException", rate: 0.1, perSecond: 20 },
      { name: "0.3s-throttle-3", latencyMs: 300, fault: "too-many-requests", rate: 0.03, perSecond: 10 },
    ],
    // The limiter needs 20 s to tell such throttles from a quota, and as long to make up for what it held back.
    offerMs: 45_000,
  });
  expect(offered.filter(({ share, dead }) => share < 0.85 || dead > 0)).toEqual([]);
});

test("after workers were killed again and again the quota is used again", { timeout: 120_000 }, async () => {
  const figures = await storm({ ...(await common()), stormMs: 12_000, watchMs: 40_000 });
  expect(figures).toMatchObject({ dead: 0, lost: 0, paidTwice: 0 });
  expect(figures.kills).toBeGreaterThan(2);
  expect(figures.fullAfterS).toBeLessThanOrEqual(40);
});
