/** Quotas as small and odd as they come: every job that is accepted is answered. */
import { expect, inject, test, vi } from "vitest";
import { startFleet, type FleetOptions } from "./fleet.ts";

vi.setConfig({ testTimeout: 150_000 });

/** More than a minute: as long as the smallest quota needs for one job. */
const A_MINUTE = { timeout: 100_000, interval: 100 } as const;

function startHere(options: Partial<FleetOptions>) {
  const urls = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
  return startFleet({ ...urls, latencyMs: 20, ...options });
}

test.concurrent.each<[string, Partial<FleetOptions>, number]>([
  [
    "one request a minute",
    { poolKeys: { quota: { tokensPerMinute: 1_000_000, requestsPerMinute: 1 } } },
    100,
  ],
  ["a day that carries little more than one job", { scopeKeys: { tokensPerDay: 1_200 } }, 1_024],
  // It starts when the whole of a minute has accrued.
  ["a minute that carries little more than one job", { tokensPerMinute: 1_100 }, 1_024],
])("%s", async (_, options, maxTokens) => {
  await using fleet = await startHere(options);
  await fleet.startWorker();
  const ids = await fleet.submit([{ maxTokens }]);
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(["completed"]), A_MINUTE);
  expect((await fleet.calls()).map(({ outcome }) => outcome)).toEqual(["completed"]);
});
