/** A claimed replay that nobody put into its lane: the worker does, and the letter follows what becomes of it. */
import { encodePayload } from "@sluice/job/payload";
import { expect, inject, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

test("it dies again on its letter, is mended, and is resolved when it is answered", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 20,
  });
  await fleet.startWorker(undefined, { SLUICE_RECONCILE_INTERVAL_MS: "200" });
  const [id = ""] = await fleet.submit([{ fault: "ValidationException" }]);
  const letter = async () => fleet.deadLetters.get(id);
  await vi.waitFor(async () => expect(await letter()).toMatchObject({ state: "dead", deaths: 1 }), PATIENTLY);

  // As an operator whose process ends right after the claim.
  await fleet.deadLetters.claim(id, { by: "ann", replays: 0, leaseMs: 1 });
  await vi.waitFor(
    async () => expect(await letter()).toMatchObject({ state: "dead", deaths: 2, replays: 1 }),
    PATIENTLY,
  );

  const { revision = "" } = (await letter()) ?? {};
  const messages = [{ role: "user", content: [{ text: MARKER }] }];
  const payload = await encodePayload({ messages, maxTokens: 50 });
  await fleet.deadLetters.edit(id, { by: "ann", revision, payload });
  await fleet.deadLetters.claim(id, { by: "ann", replays: 1, leaseMs: 1 });
  await vi.waitFor(
    async () => expect(await letter()).toMatchObject({ state: "resolved", replays: 2 }),
    PATIENTLY,
  );
  expect(await fleet.ends([`${id}.r1`, `${id}.r2`])).toEqual(["dead", "completed"]);
  const calls = await fleet.callsByJob();
  expect([calls.get(`${id}.r1`), calls.get(`${id}.r2`)]).toEqual([1, 1]);
  expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
});
