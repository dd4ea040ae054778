/** Jobs in a lane's queue that Sluice did not put there: each becomes a letter that can be replayed and closed. */
import { parseJobId, queueName } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { POLLS_LANE } from "@sluice/queue";
import { Queue } from "bullmq";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

const LANES = ["standard", "bulk"];

async function startForeign() {
  const redisUrl = inject("redisUrl");
  const fleet = await startFleet({
    redisUrl,
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 20,
    lanes: LANES,
  });
  const queues = new Map(
    [...LANES, POLLS_LANE].map((lane) => [
      lane,
      new Queue(queueName("test", lane), { connection: { url: redisUrl }, prefix: fleet.keySpace }),
    ]),
  );
  onTestFinished(async () => {
    await Promise.all([...queues.values()].map(async (queue) => queue.close()));
    await fleet[Symbol.asyncDispose]();
  });
  const add = async (lane: string, id: string, data: unknown): Promise<void> => {
    await queues.get(lane)?.add("foreign", data, { jobId: id });
  };
  return { fleet, add };
}

/** All letters of the lanes in one state, newest first. */
async function letters(fleet: Fleet, state: "dead" | "replaying" | "resolved" = "dead") {
  const pages = await Promise.all(
    LANES.map(async (lane) =>
      fleet.deadLetters.list({ state, by: { lane: { pool: "test", lane } }, limit: 100 }),
    ),
  );
  return pages.flatMap(({ items }) => items);
}

test("each is a letter of its own, however little it is ours and whatever its id", async () => {
  const { fleet, add } = await startForeign();
  // BullMQ counts the jobs of each queue by itself: the same id in two lanes is two jobs.
  await add("standard", "x1108", { hello: "world" });
  await add("bulk", "x1108", { hello: "bulk" });
  await add(POLLS_LANE, "x1108", { hello: "polls" });
  await add("bulk", "nothing", null);
  await add("bulk", "a text", "a text");
  await add("bulk", "x.r5", { looks: "like a replay" });
  await add("bulk", "a".repeat(3_000), { long: "id" });
  await add("standard", "of-another-version", { version: 9, id: "test.standard.x" });
  await fleet.startWorker(undefined, { SLUICE_RECONCILE_INTERVAL_MS: "200" });

  await vi.waitFor(async () => expect(await letters(fleet)).toHaveLength(8), PATIENTLY);
  // A letter is stored before its job is dropped.
  await vi.waitFor(async () => {
    expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
  }, PATIENTLY);
  const dead = await letters(fleet);
  expect(new Set(dead.map(({ id }) => id)).size).toBe(8);
  for (const { id, deaths, pool, lane, tenant } of dead) {
    expect(parseJobId(id)).toMatchObject({ pool, lane, replay: 0 });
    expect({ deaths, tenant }).toEqual({ deaths: 1, tenant: "unknown" });
  }
  expect(dead.filter(({ failure }) => failure.message.startsWith("Job 'x1108': "))).toHaveLength(3);

  // Replayed as they are, all die again, each on its own letter.
  for (const { id } of dead) await fleet.deadLetters.claim(id, { by: "ann", replays: 0, leaseMs: 1 });
  await vi.waitFor(
    async () => expect((await letters(fleet)).map(({ deaths }) => deaths)).toEqual(dead.map(() => 2)),
    PATIENTLY,
  );
  expect(await letters(fleet, "replaying")).toEqual([]);

  // Mended, one is answered; the others are closed.
  const [first, second, third] = await letters(fleet);
  const request = { messages: [{ role: "user", content: [{ text: MARKER }] }], maxTokens: 50 };
  const [id = "", revision = ""] = [first?.id, first?.revision];
  await fleet.deadLetters.edit(id, { by: "ann", revision, payload: await encodePayload(request) });
  await fleet.deadLetters.claim(id, { by: "ann", replays: 1, leaseMs: 1 });
  await vi.waitFor(
    async () => expect(await fleet.deadLetters.look(id)).toMatchObject({ state: "resolved" }),
    PATIENTLY,
  );
  expect(await fleet.deadLetters.park(second?.id ?? "", { by: "ann", note: "Not ours" })).toMatchObject({
    outcome: "done",
  });
  expect(await fleet.deadLetters.purge(third?.id ?? "", { revision: third?.revision ?? "" })).toMatchObject({
    outcome: "done",
  });
});

test("a letter that a version before stored under a foreign id is replayed too, and one that stuck comes back", async () => {
  const { fleet } = await startForeign();
  const now = Date.now();
  const names = { tenant: "unknown", pool: "test", lane: "bulk", kind: "converse" } as const;
  const times = { acceptedAt: now, deadlineAt: now, maxAttempts: 1 } as const;
  const failure = { kind: "terminal", errorClass: "FailedOutsideSluice", message: "no" } as const;
  const payload = { encoding: "json", json: '{"hello":"world"}' } as const;
  const suffix = fleet.keySpace.slice(12, 20);
  const [free, stuck] = [`1108-${suffix}`, `1109-${suffix}`];
  for (const id of [free, stuck]) {
    const data = { version: 1, id, ...names, payload, ...times } as const;
    await fleet.deadLetters.put({ data, failure, attempts: 1, stalls: 0, diedAt: now });
    await fleet.deadLetters.claim(id, { by: "ann", replays: 0, leaseMs: 1 });
  }
  // Its replay died under the version before, which wrote the death on a letter of its own.
  const end = { tenant: "unknown", acceptedAt: now, endedAt: now, attempts: 1 };
  await fleet.putOutcome({ outcome: "dead", id: `${stuck}.r1`, ...end, failure });
  await fleet.startWorker(undefined, { SLUICE_RECONCILE_INTERVAL_MS: "200" });
  await vi.waitFor(
    async () => expect(await fleet.deadLetters.look(free)).toMatchObject({ state: "dead", deaths: 2 }),
    PATIENTLY,
  );
  await vi.waitFor(
    async () => expect(await fleet.deadLetters.look(stuck)).toMatchObject({ state: "dead", deaths: 1 }),
    PATIENTLY,
  );
  expect((await fleet.deadLetters.look(stuck))?.history.at(-1)).toMatchObject({
    by: "reconciler",
    note: `${stuck}.r1 died: FailedOutsideSluice: no`,
  });
  expect(await letters(fleet, "replaying")).toEqual([]);
});

test("a job that cannot be read is a letter that has kept what it can, and its neighbours are answered", async () => {
  const { fleet } = await startForeign();
  const ids = await fleet.submit(Array.from({ length: 6 }, () => ({})));
  const [broken = "", gone = "", others = "", ...good] = ids;
  const hash = (id: string): string => `${fleet.keySpace}:${queueName("test", "standard")}:${id}`;
  await fleet.redis.hset(hash(broken), "data", '{"half', "opts", "{");
  await fleet.redis.del(hash(gone));
  await fleet.redis.hset(hash(others), "data", (await fleet.redis.hget(hash(good[0] ?? ""), "data")) ?? "");
  await fleet.startWorker();
  await vi.waitFor(async () => expect(await letters(fleet)).toHaveLength(3), PATIENTLY);
  await vi.waitFor(
    async () => expect(await fleet.ends(good)).toEqual(good.map(() => "completed")),
    PATIENTLY,
  );
  const dead = await letters(fleet);
  expect(dead.map(({ id }) => id).toSorted()).toEqual([broken, gone, others].toSorted());
  expect(new Set(dead.map(({ failure }) => failure.errorClass))).toEqual(new Set(["MalformedJob"]));
  // A letter is stored before its job is dropped.
  await vi.waitFor(async () => {
    expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
  }, PATIENTLY);
  expect((await fleet.callsByJob()).size).toBe(3);
});
