/** Calls that are more than a question and an answer: another pool's answer, an answer in pieces, one into S3. */
import { expect, inject, test, vi } from "vitest";
import { ASYNC_MODEL, PATIENTLY, startFleet, type Fleet, type FleetOptions } from "./fleet.ts";

const POOL = "test";
const OTHER_POOL = "other";
const OTHER_MODEL = "test.other";

function startHere(options: Partial<FleetOptions> & { latencyMs: number }) {
  return startFleet({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl"), ...options });
}

async function startWithFallback() {
  return startHere({
    latencyMs: 300,
    poolKeys: { fallback: [OTHER_POOL] },
    otherPools: { [OTHER_POOL]: { model: OTHER_MODEL } },
  });
}

/** Waits for the end of the job. Resolves to the most reservations that the two pools were ever seen to hold. */
async function mostReservations(fleet: Fleet, id: string): Promise<number> {
  let most = 0;
  while ((await fleet.outcome(id)) === undefined) {
    // The first pool last: what moves on meanwhile is not counted twice.
    const { reservations: there } = await fleet.limiter.inspect(OTHER_POOL);
    const { reservations: here } = await fleet.limiter.inspect(POOL);
    most = Math.max(most, there + here);
  }
  return most;
}

async function expectNoReservations(fleet: Fleet): Promise<void> {
  await vi.waitFor(async () => {
    expect((await fleet.limiter.inspect(POOL)).reservations).toBe(0);
    expect((await fleet.limiter.inspect(OTHER_POOL)).reservations).toBe(0);
  }, PATIENTLY);
}

vi.setConfig({ testTimeout: 60_000 });

test("an overloaded model's job is answered by the next pool of its chain", async () => {
  await using fleet = await startWithFallback();
  const set = await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({ model: "test.model", fault: "overloaded" }),
  });
  expect(set.status).toBe(200);
  await fleet.startWorker();
  const [id = ""] = await fleet.submit([{}]);

  expect(await mostReservations(fleet, id)).toBe(1);

  expect(await fleet.outcome(id)).toMatchObject({ outcome: "completed", answer: { model: OTHER_MODEL } });
  const calls = await fleet.calls();
  expect(calls).toEqual([
    expect.objectContaining({ job: id, model: "test.model", outcome: "throttled" }),
    expect.objectContaining({ job: id, model: OTHER_MODEL, outcome: "completed" }),
  ]);
  expect(calls[1]?.startedAt).toBeGreaterThanOrEqual(calls[0]?.endedAt ?? Infinity);
  await expectNoReservations(fleet);
});

test("while a pool's breaker is open, the next of its chain answers", async () => {
  await using fleet = await startWithFallback();
  const worker = await fleet.startWorker();
  await fleet.limiter.operate(POOL, { type: "isolate" });
  const [id = ""] = await fleet.submit([{}]);

  expect(await mostReservations(fleet, id)).toBe(1);

  expect(await fleet.outcome(id)).toMatchObject({ outcome: "completed", answer: { model: OTHER_MODEL } });
  expect(await fleet.calls()).toEqual([expect.objectContaining({ job: id, model: OTHER_MODEL })]);
  await worker.logged("the fallback", ({ msg, to }) => msg === "job:fallback" && to === OTHER_POOL);
  await expectNoReservations(fleet);
});

test("an async call is polled outside its lane, whose only slot is free meanwhile", async () => {
  await using fleet = await startHere({ latencyMs: 3_000, slots: 1, poolKeys: { model: ASYNC_MODEL } });
  const worker = await fleet.startWorker();
  const request = { modelInput: { prompt: "A mill by the river" }, outputS3Uri: "s3://answers/mills" };
  const ids = await fleet.submit([
    { kind: "async", request },
    { kind: "async", request },
  ]);
  for (const id of ids)
    await worker.logged("the start", (line) => line.msg === "job:started" && line["id"] === id);
  // Neither is done, and the lane and the limiter hold nothing of them.
  expect(await fleet.ends(ids)).toEqual([undefined, undefined]);
  await vi.waitFor(
    async () => expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 }),
    PATIENTLY,
  );
  expect((await fleet.limiter.inspect(POOL)).reservations).toBe(0);

  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(["completed", "completed"]), PATIENTLY);

  for (const id of ids) {
    expect(await fleet.outcome(id)).toMatchObject({
      answer: { s3Uri: expect.stringMatching(/^s3:\/\/answers\/mills/), model: ASYNC_MODEL },
    });
    const operations = (await fleet.calls())
      .filter(({ job }) => job === id)
      .map(({ operation }) => operation);
    expect(operations.filter((operation) => operation === "StartAsyncInvoke")).toHaveLength(1);
    expect(operations.filter((operation) => operation === "GetAsyncInvoke").length).toBeGreaterThan(1);
  }
});

test("a reader of a stream that breaks sees `restarted`, then the whole text once", async () => {
  await using fleet = await startHere({ latencyMs: 100 });
  await fleet.startWorker();
  const [id = ""] = await fleet.submit([{ kind: "stream", fault: "reset@mid*1", maxTokens: 200 }]);

  let text = "";
  const types: string[] = [];
  for await (const event of fleet.chunks.read({ id })) {
    if (event.type === "text") text += event.text;
    if (event.type === "restarted") text = "";
    if (types.at(-1) !== event.type) types.push(event.type);
  }

  // The first `text` is what had come before the break.
  expect(types).toEqual(["started", "text", "restarted", "text", "completed"]);
  // The outcome is stored before the last event.
  expect(await fleet.outcome(id)).toMatchObject({ outcome: "completed", answer: { text } });
  expect((await fleet.calls()).map(({ outcome }) => outcome)).toEqual(["error", "completed"]);
});
