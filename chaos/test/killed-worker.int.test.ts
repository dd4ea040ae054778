/**
 * A worker dies by SIGKILL at every point of a job's way. The points are held open from outside, by the network: a
 * proxy before Redis or before the simulator loses what comes next, so nothing in the worker knows of the test.
 */
import { expect, inject, test, vi } from "vitest";
import { countInFlight, startProxyTo, type Started } from "../src/index.ts";
import { PATIENTLY, POOL, startLab, type Lab } from "./lab.ts";

vi.setConfig({ testTimeout: 60_000 });

async function kill(worker: Started): Promise<void> {
  worker.kill("SIGKILL");
  expect(await worker.exit).toEqual({ code: null, signal: "SIGKILL" });
}

async function untilInFlight(lab: Lab): Promise<void> {
  await vi.waitFor(async () => expect(await countInFlight(lab.simulatorUrl)).toBe(1), PATIENTLY);
}

test("before it was admitted: one call", async () => {
  await using lab = await startLab({ latencyMs: 100 });
  const { installation } = lab;
  const worker = await installation.startWorker();
  const limiter = installation.limiter(POOL);
  await limiter.operate(POOL, { type: "isolate" });
  const [id = ""] = await lab.submit(1);
  await vi.waitFor(
    async () => expect(await installation.records.counts()).toMatchObject({ active: 1 }),
    PATIENTLY,
  );
  expect(await lab.reservations()).toBe(0);

  await kill(worker);
  await installation.startWorker();
  await limiter.operate(POOL, { type: "close" });
  await lab.untilEnded([id]);
  expect(await lab.problems([id], { calls: [1, 1] })).toEqual([]);
  expect(await lab.reservations()).toBe(0);
});

test("after the grant, before its request left: one call", async () => {
  await using lab = await startLab({ latencyMs: 100 });
  await using proxy = await startProxyTo(lab.simulatorUrl);
  proxy.set({ lost: "both" });
  const worker = await lab.installation.startWorker({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: proxy.url });
  const [id = ""] = await lab.submit(1);
  await worker.logged("the grant", ({ msg }) => msg === "job:granted");
  expect(await lab.reservations()).toBe(1);

  await kill(worker);
  await lab.installation.startWorker();
  await lab.untilEnded([id]);
  expect(await lab.problems([id], { calls: [1, 1] })).toEqual([]);
  await lab.expectNoLeaks();
});

test("in mid-call: one answer, one call more", async () => {
  await using lab = await startLab({ latencyMs: 1_500 });
  const worker = await lab.installation.startWorker();
  const [id = ""] = await lab.submit(1);
  await untilInFlight(lab);

  await kill(worker);
  await lab.installation.startWorker();
  await lab.untilEnded([id]);
  expect(await lab.problems([id], { calls: [2, 2] })).toEqual([]);
  expect((await lab.callsOf(id)).map(({ outcome }) => outcome)).toEqual(["disconnected", "completed"]);
  await lab.expectNoLeaks();
});

test("after the answer, before it was stored: one answer counts, one call more", async () => {
  await using lab = await startLab({ latencyMs: 1_500 });
  await using proxy = await startProxyTo(inject("redisUrl"));
  const worker = await lab.installation.startWorker({ REDIS_URL: proxy.url });
  const [id = ""] = await lab.submit(1);
  await untilInFlight(lab);
  proxy.set({ lost: "both" });
  await vi.waitFor(async () => expect(await lab.callsOf(id)).toHaveLength(1), PATIENTLY);
  expect(await lab.installation.records.outcome(id)).toBeUndefined();

  await kill(worker);
  await lab.installation.startWorker();
  await lab.untilEnded([id]);
  expect(await lab.problems([id], { calls: [2, 2], unheard: 1 })).toEqual([]);
  await lab.expectNoLeaks();
});

test("after the answer was stored, before the queue heard of it: one call", async () => {
  await using lab = await startLab({ latencyMs: 1_500 });
  await using proxy = await startProxyTo(inject("redisUrl"));
  const worker = await lab.installation.startWorker({ REDIS_URL: proxy.url });
  const [id = ""] = await lab.submit(1);
  await untilInFlight(lab);
  // The worker hears nothing any more, so the first thing it does with the answer is the last.
  proxy.set({ lost: "replies" });
  const { records } = lab.installation;
  await vi.waitFor(async () => expect(await records.outcome(id)).toBeDefined(), PATIENTLY);
  expect(await records.counts()).toMatchObject({ active: 1 });

  await kill(worker);
  const next = await lab.installation.startWorker();
  await lab.untilEnded([id]);
  expect(await lab.problems([id], { calls: [1, 1] })).toEqual([]);
  await next.logged("the recovery", (line) => line.msg === "job:recovered" && line["id"] === id);
  await lab.expectNoLeaks();
});
