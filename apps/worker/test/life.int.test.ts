/** What callers may ask for besides an answer: to be rid of a job, to share an answer, to wait. */
import { expect, inject, test, vi } from "vitest";
import { countInFlight } from "@sluice/chaos";
import { PATIENTLY, startFleet, type FleetOptions } from "./fleet.ts";

const POOL = "test";

const EMPTY = { waiting: 0, delayed: 0, active: 0, failed: 0 };

function startHere(options: Partial<FleetOptions> & { latencyMs: number }) {
  return startFleet({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl"), ...options });
}

vi.setConfig({ testTimeout: 60_000 });

test("a cancelled call is aborted by the process that holds it, and never made again", async () => {
  await using fleet = await startHere({ latencyMs: 60_000 });
  const workers = await Promise.all([fleet.startWorker(), fleet.startWorker()]);
  const [id = ""] = await fleet.submit([{}]);
  const holder = await Promise.any(
    workers.map(async (worker) => {
      await worker.logged("the grant", ({ msg }) => msg === "job:granted");
      return worker;
    }),
  );
  // Granted is not yet sent.
  await vi.waitFor(async () => expect(await countInFlight(fleet.simulatorUrl)).toBe(1), PATIENTLY);
  expect((await fleet.limiter.inspect(POOL)).reservations).toBe(1);

  expect(await fleet.cancels.request(id, "somebody")).toBe("first");

  await vi.waitFor(async () => expect(await fleet.ends([id])).toEqual(["cancelled"]), PATIENTLY);
  await vi.waitFor(async () => expect(await fleet.counts()).toEqual(EMPTY), PATIENTLY);
  await vi.waitFor(
    async () =>
      expect(await fleet.calls()).toEqual([expect.objectContaining({ job: id, outcome: "disconnected" })]),
    PATIENTLY,
  );
  expect((await fleet.limiter.inspect(POOL)).reservations).toBe(0);
  await holder.logged("the end", ({ msg }) => msg === "job:cancelled");
  expect(fleet.log().match(/"job:(granted|cancelled)"/g)).toHaveLength(2);
});

test("a cancelled job leaves the gate without a call, however long it would have waited", async () => {
  await using fleet = await startHere({ latencyMs: 100 });
  const worker = await fleet.startWorker();
  await fleet.limiter.operate(POOL, { type: "open", forMs: 600_000 });
  const [id = "", next = ""] = await fleet.submit([{}, {}]);
  // One asks at the gate, the other may be read ahead.
  await vi.waitFor(async () => expect((await fleet.counts()).active).toBeGreaterThan(0), PATIENTLY);

  await fleet.cancels.request(id, "somebody");

  await vi.waitFor(
    async () => expect(await fleet.ends([id, next])).toEqual(["cancelled", undefined]),
    PATIENTLY,
  );
  await worker.logged("the end", ({ msg, id: ended }) => msg === "job:cancelled" && ended === id);
  expect((await fleet.limiter.inspect(POOL)).reservations).toBe(0);
  expect(await fleet.calls()).toEqual([]);
});

test("equal jobs of a tenant share one call; another tenant calls for itself", async () => {
  await using fleet = await startHere({ latencyMs: 500 });
  await Promise.all([fleet.startWorker(), fleet.startWorker()]);
  const request = {
    messages: [{ role: "user", content: [{ text: "Wie weit ist es bis zum Mond?" }] }],
    maxTokens: 50,
  };
  const job = { request, cacheMs: 60_000 };
  const own = await fleet.submit(Array.from({ length: 5 }, () => ({ ...job, tenant: "one" })));
  const [other = ""] = await fleet.submit([{ ...job, tenant: "two" }]);
  const ids = [...own, other];

  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);

  const callers = (await fleet.calls()).map((call) => call.job);
  expect(callers).toHaveLength(2);
  expect(callers).toContain(other);
  const ended = await Promise.all(ids.map(async (id) => fleet.outcome(id)));
  const answers = ended.flatMap((outcome) => (outcome?.outcome === "completed" ? [outcome] : []));
  const called = answers.filter(({ answer }) => answer.cached !== true).map(({ id }) => id);
  expect(called.toSorted()).toEqual(callers.toSorted());
  expect(new Set(answers.map(({ answer }) => answer.text)).size).toBe(1);
});

test("a delayed job does not start before its time, and holds up nobody", async () => {
  await using fleet = await startHere({ latencyMs: 50 });
  await fleet.startWorker();
  const delayMs = 2_500;
  const before = Date.now();
  const [later = "", now = ""] = await fleet.submit([{ delayMs }, {}]);

  await vi.waitFor(
    async () => expect(await fleet.ends([later, now])).toEqual(["completed", "completed"]),
    PATIENTLY,
  );

  const calls = await fleet.calls();
  expect(calls.map(({ job }) => job)).toEqual([now, later]);
  expect((calls[1]?.startedAt ?? 0) - before).toBeGreaterThanOrEqual(delayMs);
});
