/** Quotas as small and odd as they come: every job that is accepted is answered. A whole minute is waited for in limits. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type FleetOptions } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

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
])("%s", async (_, options, maxTokens) => {
  await using fleet = await startHere(options);
  await fleet.startWorker();
  const ids = await fleet.submit([{ maxTokens }]);
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(["completed"]), PATIENTLY);
  expect((await fleet.calls()).map(({ outcome }) => outcome)).toEqual(["completed"]);
});
