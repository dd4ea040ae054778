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

test("a job that is larger than what is left of the day lets smaller ones of its lane pass", async () => {
  await using fleet = await startHere({ scopeKeys: { tokensPerDay: 20_000 } });
  // Somebody else of the account has used most of it.
  const cost = { "tokens-per-day": 16_500 };
  const used = { pool: "test", lane: "standard", id: "x/1", job: "x", cost, ttlMs: 600_000 };
  const worker = await fleet.startWorker();
  expect(await fleet.limiter.admit(used)).toMatchObject({ type: "granted" });
  const [large = ""] = await fleet.submit([{ maxTokens: 4_000 }]);
  await worker.logged("the large one", ({ msg, reason }) => msg === "job:deferred" && reason === "day-rest");
  const small = await fleet.submit(Array.from({ length: 10 }, () => ({ maxTokens: 50 })));
  await vi.waitFor(
    async () => expect(await fleet.ends(small)).toEqual(small.map(() => "completed")),
    PATIENTLY,
  );
  expect(await fleet.ends([large])).toEqual([undefined]);
  expect(await fleet.counts()).toMatchObject({ delayed: 1, failed: 0 });
});
