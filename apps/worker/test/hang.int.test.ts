/** A service that swallowed calls and answers again is found out of, though every slot is held by what it swallowed. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

test("a worker whose slots are all out calls again within 10 s of the end of a black hole", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 100,
    slots: 16,
  });
  await fleet.startWorker();
  const first = await fleet.submit([{}]);
  await vi.waitFor(async () => expect(await fleet.ends(first)).toEqual(["completed"]), PATIENTLY);
  const holeMs = 8_000;
  await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({ forMs: holeMs, fault: "hang" }),
  });
  const over = Date.now() + holeMs;
  await fleet.submit(Array.from({ length: 60 }, () => ({})));
  await vi.waitFor(async () => expect((await fleet.calls()).length).toBeGreaterThan(5), PATIENTLY);
  const answered = (await fleet.calls()).filter((call) => call.startedAt > over);
  expect(Math.min(...answered.map((call) => call.startedAt)) - over).toBeLessThan(10_000);
  // Those of before are still out: the service has not let go of them.
  expect((await fleet.counts()).active).toBeGreaterThanOrEqual(16);
});
