/** Jobs that wait for the answer to an equal request, whose job ends without one while it waits for its retry. */
import { addFaults } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

const CACHE_MS = 60_000;

const asking = (text: string) => ({
  request: { messages: [{ role: "user", content: [{ text }] }], maxTokens: 50 },
  cacheMs: CACHE_MS,
});

test("go on by themselves when it was cancelled, and when it was overdue", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 20,
  });
  await addFaults(fleet.simulatorUrl, [{ model: "test.model", fault: "ServiceUnavailableException" }]);
  const worker = await fleet.startWorker();
  const [cancelled = "", overdue = ""] = await fleet.submit([
    asking("one"),
    { ...asking("two"), deadlineMs: 2_500 },
  ]);
  const lineOf = async (msg: string, id: string) =>
    worker.logged(msg, (line) => line.msg === msg && line["id"] === id);
  await Promise.all([lineOf("job:retry", cancelled), lineOf("job:retry", overdue)]);
  const [first = "", second = ""] = await fleet.submit([asking("one"), asking("two")]);
  await Promise.all([lineOf("job:deferred", first), lineOf("job:deferred", second)]);
  expect([...(await fleet.callsByJob()).keys()].toSorted()).toEqual([cancelled, overdue].toSorted());

  await fleet.cancels.request(cancelled, "default");
  await Promise.all([lineOf("job:granted", first), lineOf("job:granted", second)]);
  await vi.waitFor(
    async () => expect(await fleet.ends([cancelled, overdue])).toEqual(["cancelled", "dead"]),
    PATIENTLY,
  );
});
