/** A job that kills its worker every time: it ends dead, and takes no neighbour with it. */
import { expect, inject, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet, type Fleet } from "./fleet.ts";
import type { Started } from "@sluice/chaos";

vi.setConfig({ testTimeout: 60_000 });

const POISONED_WORKER = new URL("./fixtures/poisoned-worker.ts", import.meta.url);

/** The drain gives a job up when its worker vanished under it more than three times. */
const DEATHS = 4;

/** Restarts the worker whenever it dies, as a supervisor would, until `done`. Resolves to the ones that died. */
async function supervise(fleet: Fleet, poisoned: string, done: () => Promise<void>): Promise<Started[]> {
  const died: Started[] = [];
  const finished = done().then(() => true);
  for (;;) {
    const worker = await fleet.startWorker(POISONED_WORKER, { POISONED: poisoned });
    if (await Promise.race([finished, worker.exit.then(() => false)])) return died;
    expect(await worker.exit).toEqual({ code: null, signal: "SIGKILL" });
    died.push(worker);
    expect(died.length).toBeLessThanOrEqual(DEATHS);
  }
}

/** Jobs that were granted a call in this process and did not end in it. */
function inFlight({ lines }: Started): string[] {
  const of = (event: string): string[] =>
    lines.filter(({ msg }) => msg === event).map(({ id }) => String(id));
  const ended = new Set(of("job:completed"));
  return of("job:granted").filter((id) => !ended.has(id));
}

test("ends dead as StalledTooOften; its neighbours complete, and only those that were in flight call again", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 100,
  });
  const before = await fleet.submit(Array.from({ length: 6 }, () => ({})));
  const [poisoned = ""] = await fleet.submit([{}]);
  const neighbours = [...before, ...(await fleet.submit(Array.from({ length: 14 }, () => ({}))))];

  const died = await supervise(fleet, poisoned, async () => {
    await vi.waitFor(async () => {
      expect(await fleet.ends([poisoned])).toEqual(["dead"]);
      expect(await fleet.ends(neighbours)).toEqual(neighbours.map(() => "completed"));
      expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
    }, PATIENTLY);
  });

  expect(died).toHaveLength(DEATHS);
  const letter = await fleet.deadLetters.get(poisoned);
  expect(letter).toMatchObject({ state: "dead", deaths: 1, failure: { errorClass: "StalledTooOften" } });
  expect(await fleet.deadLetters.count({ state: "dead", by: { tenant: "default" } })).toBe(1);

  const calls = await fleet.callsByJob();
  expect(calls.get(poisoned)).toBeUndefined();
  const interrupted = new Set(died.flatMap(inFlight));
  const untouched = neighbours.filter((id) => !interrupted.has(id));
  expect(untouched.map((id) => calls.get(id))).toEqual(untouched.map(() => 1));
  expect(fleet.log()).not.toContain(MARKER);
});

test("is not confused with a job of another lane that only waits at the gate while its worker dies", async () => {
  // 1,000 tokens a second: the reservation of the bulk job is half a minute of them, and critical goes first.
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 100,
    lanes: ["critical", "bulk"],
    tokensPerMinute: 60_000,
  });
  const [innocent = ""] = await fleet.submit([{ lane: "bulk", maxTokens: 4_000 }]);
  const [poisoned = ""] = await fleet.submit([{ lane: "critical" }]);

  await supervise(fleet, poisoned, async () => {
    await vi.waitFor(async () => {
      expect(await fleet.ends([poisoned, innocent])).toEqual(["dead", expect.any(String)]);
    }, PATIENTLY);
  });

  expect(await fleet.ends([innocent])).toEqual(["completed"]);
});
