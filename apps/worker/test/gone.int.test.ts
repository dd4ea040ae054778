/** A model that nobody can call: gone, denied, or not to be had on demand. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

const OTHER_MODEL = "test.other";
const JOBS = Array.from({ length: 10 }, () => ({}));

const faults = [
  ["gone", { type: "error", name: "ResourceNotFoundException" }],
  ["denied", { type: "error", name: "AccessDeniedException" }],
  [
    "not to be had on demand",
    {
      type: "error",
      name: "ValidationException",
      message: "Invocation of model ID test.model with on-demand throughput isn't supported.",
    },
  ],
] as const;

/** Has every call of the pool's own model meet the fault from now on. */
async function strike(simulatorUrl: string, fault: object): Promise<void> {
  const set = await fetch(`${simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({ model: "test.model", fault }),
  });
  expect(set.status).toBe(200);
}

vi.setConfig({ testTimeout: 60_000 });

test.each(faults)("a model that is %s leaves its jobs to the spare", async (_, fault) => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 50,
    poolKeys: { fallback: ["spare"] },
    otherPools: { spare: { model: OTHER_MODEL } },
  });
  await strike(fleet.simulatorUrl, fault);
  await fleet.startWorker();
  const ids = await fleet.submit(JOBS);

  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);

  const answers = await Promise.all(ids.map(async (id) => fleet.outcome(id)));
  expect(new Set(answers.map((end) => end?.outcome === "completed" && end.answer.model))).toEqual(
    new Set([OTHER_MODEL]),
  );
});

test.each(faults)(
  "a pool without a spare whose model is %s is held, and keeps its jobs",
  async (_, fault) => {
    await using fleet = await startFleet({
      redisUrl: inject("redisUrl"),
      dynamoDbUrl: inject("dynamoDbUrl"),
      latencyMs: 50,
    });
    await strike(fleet.simulatorUrl, fault);
    await fleet.startWorker();
    const ids = await fleet.submit(JOBS);

    await vi.waitFor(async () => {
      expect((await fleet.limiter.inspect("test")).breaker.phase).toBe("isolated");
    }, PATIENTLY);

    await vi.waitFor(() => expect(fleet.log()).toContain('"to":"isolated"'), PATIENTLY);
    expect(await fleet.ends(ids)).toEqual(ids.map(() => undefined));
    expect(await fleet.counts()).toMatchObject({ failed: 0 });
  },
);
