/** A worker that is killed, with the times that production has: how soon its jobs run again, and what stays behind. */
import { countInFlight } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { envSchema } from "../src/env.ts";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

const JOBS = 3;

/** The variables that tests shorten, as they are by default. */
const PRODUCTION = Object.fromEntries(
  (
    [
      "SLUICE_LOCK_IN_HAND_MS",
      "SLUICE_LOCK_CALL_MS",
      "SLUICE_STALLED_INTERVAL_MS",
      "SLUICE_HEARTBEAT_TTL_MS",
    ] as const
  ).map((name) => [name, String(envSchema.shape[name].parse(undefined))]),
);

test("a killed worker's calls are made again within 20 s, and its reservations do not linger", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 60_000,
  });
  const killed = await fleet.startWorker(undefined, PRODUCTION);
  const ids = await fleet.submit(Array.from({ length: JOBS }, () => ({})));
  await vi.waitFor(async () => expect(await countInFlight(fleet.simulatorUrl)).toBe(JOBS), PATIENTLY);
  const other = await fleet.startWorker(undefined, PRODUCTION);

  const killedAt = Date.now();
  killed.kill("SIGKILL");
  await killed.exit;
  const granted = () => other.lines.filter(({ msg }) => msg === "job:granted").map(({ id }) => String(id));
  await vi.waitFor(() => expect(granted().toSorted()).toEqual(ids.toSorted()), PATIENTLY);

  expect(Date.now() - killedAt).toBeLessThan(20_000);
  // Nothing was declared dead before its time.
  expect(Date.now() - killedAt).toBeGreaterThan(5_000);
  expect((await fleet.limiter.inspect("test")).reservations).toBe(JOBS);
});
