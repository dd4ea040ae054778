/** SIGTERM: calls in flight finish, what waits goes back, nothing is left to the stall check. */
import { expect, inject, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet } from "./fleet.ts";

const TOKENS_PER_MINUTE = 60_000;
/** What a job asks for that has to wait at the gate for some seconds. */
const MUCH = 4_000;

function startHere(latencyMs: number) {
  return startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    tokensPerMinute: TOKENS_PER_MINUTE,
    latencyMs,
  });
}

vi.setConfig({ testTimeout: 60_000 });

test("finishes its calls, hands back what waits at the gate, exits 0; another worker does the rest", async () => {
  await using fleet = await startHere(2_000);
  const ids = await fleet.submit([{}, { maxTokens: MUCH }, {}, {}]);
  const [calling = "", ...others] = ids;
  const first = await fleet.startWorker();
  await first.logged("a grant", ({ msg }) => msg === "job:granted");
  // One asks, and two more are read ahead.
  await vi.waitFor(async () => expect((await fleet.counts()).active).toBe(4), PATIENTLY);

  first.kill("SIGTERM");
  expect(await first.exit).toEqual({ code: 0, signal: null });

  // What was handed back is due at once: the sweeper may have promoted it by now.
  const { waiting, delayed, ...rest } = await fleet.counts();
  expect({ open: waiting + delayed, ...rest }).toEqual({ open: 3, active: 0, failed: 0 });
  expect(await fleet.ends(ids)).toEqual(["completed", undefined, undefined, undefined]);
  expect(first.lines).toContainEqual(expect.objectContaining({ msg: "job:completed", id: calling }));
  // A fetch that was under way may bring one back that has just been handed back: then it goes twice.
  const deferred = first.lines.filter(({ msg }) => msg === "job:deferred");
  expect(new Set(deferred.map(({ id }) => id))).toEqual(new Set(others));
  for (const each of deferred) expect(each).toMatchObject({ reason: "shutdown", delayMs: 0 });
  expect(first.lines.at(-1)).toMatchObject({ msg: "worker:stopped", drained: true });

  const second = await fleet.startWorker();
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
  // Nobody paid twice, so nothing was stalled or forgotten.
  expect(await fleet.callsByJob()).toEqual(new Map(ids.map((id) => [id, 1])));
  expect(second.text).not.toContain('"job:recovered"');
  expect(fleet.log()).not.toContain(MARKER);
});

test("aborts calls that outlast the grace and hands them back", async () => {
  await using fleet = await startHere(60_000);
  const [id = ""] = await fleet.submit([{}]);
  const worker = await fleet.startWorker(undefined, { SLUICE_SHUTDOWN_GRACE_MS: "300" });
  await worker.logged("the grant", ({ msg }) => msg === "job:granted");

  worker.kill("SIGTERM");
  expect(await worker.exit).toEqual({ code: 0, signal: null });

  expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 1, active: 0, failed: 0 });
  expect(await fleet.ends([id])).toEqual([undefined]);
  expect(worker.lines).toContainEqual(
    expect.objectContaining({ msg: "job:deferred", id, reason: "shutdown" }),
  );
  expect(worker.lines.at(-1)).toMatchObject({ msg: "worker:stopped", drained: false });
});

test("leaves with the process that started it", async () => {
  await using fleet = await startHere(100);
  const worker = await fleet.startWorker();
  worker.disconnect();
  expect(await worker.exit).toEqual({ code: 0, signal: null });
});
