/** A worker whose role may not call the model, beside workers that may: its own affair, and no state of the pool. */
import { expect, inject, test, vi } from "vitest";
import { startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

/** As they are outside of tests. */
const TIMES = {
  SLUICE_LOCK_IN_HAND_MS: "6000",
  SLUICE_LOCK_CALL_MS: "10000",
  SLUICE_HEARTBEAT_TTL_MS: "12000",
};

test("one of three workers is denied: the pool is not isolated, no job dies, and a warning names the worker", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    slots: 16,
    latencyMs: 1_000,
    poolKeys: { quota: { tokensPerMinute: 60_000_000, requestsPerMinute: 1_200 } },
  });
  const fault = { type: "error", name: "AccessDeniedException", status: 403 };
  await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({ accessKey: "DENIED", fault }),
  });
  const well = await Promise.all([1, 2].map(async () => fleet.startWorker(undefined, TIMES)));
  const sick = await fleet.startWorker(undefined, { ...TIMES, AWS_ACCESS_KEY_ID: "DENIED" });
  const ids = await fleet.submit(Array.from({ length: 100 }, () => ({})));

  await vi.waitFor(
    async () => {
      const ends = await fleet.ends(ids);
      expect(ends.filter((end) => end !== "completed")).toEqual([]);
    },
    { timeout: 90_000, interval: 1_000 },
  );

  const logged = [...well, sick].flatMap(({ lines }) => lines);
  // Where nobody else has called yet it may be suspected for a moment: then one of the others tries it.
  const changes = logged.filter(({ msg }) => msg === "breaker:changed");
  expect(changes.filter(({ to }) => to !== "suspected" && to !== "closed")).toEqual([]);
  expect(changes.length).toBeLessThanOrEqual(2);
  expect(logged.filter(({ msg }) => msg === "job:dead")).toEqual([]);
  const warnings = sick.lines.filter(({ msg }) => msg === "operation:denied");
  expect(warnings).toMatchObject([{ operation: "converse", denied: true, process: expect.any(String) }]);
  expect((await fleet.limiter.inspect("test")).deniedProcesses).toEqual([
    { process: warnings[0]?.["process"], operation: "converse", sinceMs: expect.any(Number) },
  ]);
});
