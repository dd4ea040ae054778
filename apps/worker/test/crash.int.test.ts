/** A worker that is killed, with the times that production has: how soon its jobs run again, and what stays behind. */
import { setTimeout as sleep } from "node:timers/promises";
import { createEstimator } from "@sluice/bedrock/estimate";
import { addFaults, countInFlight } from "@sluice/chaos";
import { factsOf, jobRequestSchema } from "@sluice/job";
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

/** Long enough for four calls to be out on a busy machine. */
const DEADLINE_MS = 5_000;

/** On every way in which such a job may go on or end. Its calls hang until it dies. */
test("the day counts what a killed worker's calls cost, and nothing of theirs stays reserved", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 50,
    scopeKeys: { tokensPerDay: 10_000_000 },
  });
  const [hangs = 0] = await addFaults(fleet.simulatorUrl, [{ model: "test.model", fault: "hang" }]);
  const request = { messages: [{ role: "user", content: [{ text: "Wait. ".repeat(300) }] }], maxTokens: 900 };
  const killed = await fleet.startWorker();
  const ids = await fleet.submit([
    { request },
    { request, kind: "stream" },
    { request },
    { request, deadlineMs: DEADLINE_MS },
  ]);
  const overdueAt = Date.now() + DEADLINE_MS;
  const [, , cancelled = ""] = ids;
  await vi.waitFor(async () => expect(await countInFlight(fleet.simulatorUrl)).toBe(ids.length), PATIENTLY);

  killed.kill("SIGKILL");
  await killed.exit;
  await fleet.cancels.request(cancelled, "default");
  await fetch(`${fleet.simulatorUrl}/_sim/faults?id=${hangs}`, { method: "DELETE" });
  // With its deadline past, nobody makes its call again.
  await sleep(overdueAt - Date.now());
  await fleet.startWorker();
  await vi.waitFor(
    async () => expect(await fleet.ends(ids)).toEqual(["completed", "completed", "cancelled", "dead"]),
    PATIENTLY,
  );

  const answered = await Promise.all(ids.map(async (id) => fleet.outcome(id)));
  const usages = answered.map((outcome) =>
    outcome && "answer" in outcome ? outcome.answer.usage : undefined,
  );
  const used = usages.reduce((sum, usage) => sum + (usage ? usage.inputTokens + usage.outputTokens : 0), 0);
  // The killed worker had learnt nothing yet.
  const { sized: work } = factsOf(jobRequestSchema.parse({ kind: "converse", request }));
  const cut = work === undefined ? 0 : createEstimator({ burndown: 1, model: "test.model" }).unfinished(work);
  await vi.waitFor(async () => {
    const { reservations, day } = await fleet.limiter.inspect("test");
    expect({ reservations, used: day.used }).toEqual({ reservations: 0, used: used + ids.length * cut });
  }, PATIENTLY);
});
