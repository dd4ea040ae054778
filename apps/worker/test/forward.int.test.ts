/** A retry that need not wait. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

const TWO_MINUTES_MS = 120_000;

test(
  "a retry due in two minutes beside an idle pool is answered within seconds",
  { timeout: 60_000 },
  async () => {
    const urls = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
    await using fleet = await startFleet({ ...urls, latencyMs: 50 });
    const [retry = "", scheduled = ""] = await fleet.submit([
      { delayMs: TWO_MINUTES_MS },
      { delayMs: TWO_MINUTES_MS },
    ]);
    // As `HeldJob.defer` leaves a job whose call failed just now.
    const notes = { failures: 4, throttles: 0, apart: false, entry: 0, failedAt: Date.now() };
    const hash = `${fleet.keySpace}:test.standard:${retry}`;
    await fleet.redis.hset(hash, { ats: 1, priority: 1, "sluice:notes": JSON.stringify(notes) });
    await fleet.startWorker();
    await vi.waitFor(async () => expect(await fleet.ends([retry])).toEqual(["completed"]), PATIENTLY);
    expect(await fleet.ends([scheduled])).toEqual([undefined]);
  },
);
