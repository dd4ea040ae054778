/** A worker that is paused, as a debugger, a full machine or a migrating virtual one pauses it, and goes on. */
import { setTimeout as sleep } from "node:timers/promises";
import { countInFlight } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

const CALL_MS = 10_000;

/** Longer than the call may take: 10 s, and 2.5 s for its 50 tokens. */
const PAUSE_MS = 14_000;

test("an answer that came meanwhile is an answer, and the breaker hears nothing", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: CALL_MS,
    slots: 30,
    poolKeys: { callTimeout: "10s" },
  });
  const worker = await fleet.startWorker(undefined, {
    SLUICE_HEARTBEAT_TTL_MS: "60000",
    SLUICE_LOCK_CALL_MS: "90000",
  });
  const ids = await fleet.submit(Array.from({ length: 24 }, () => ({})));
  await vi.waitFor(async () => expect(await countInFlight(fleet.simulatorUrl)).toBe(24), PATIENTLY);

  worker.kill("SIGSTOP");
  await sleep(PAUSE_MS);
  worker.kill("SIGCONT");

  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
  expect(await fleet.calls()).toHaveLength(24);
  expect(worker.lines.filter(({ msg }) => msg === "job:retry" || msg === "breaker:changed")).toEqual([]);
});
