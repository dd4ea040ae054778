/** A pool with another one that may answer in its place. */
import { NO_NOTES } from "@sluice/job";
import { describe, expect, test, vi } from "vitest";
import type { Admission } from "../src/index.ts";
import { failed, granted, newData, NOW, world } from "./fakes.ts";

const ownOut: Admission = { type: "open", afterMs: 5_000, cause: "identity", elsewhere: true };

describe("a job whose pool has a second one in its chain", () => {
  test("waits its turn in its own pool while that can answer in time", async () => {
    const w = world({
      admit: (asked) => (asked < 3 ? { type: "wait", afterMs: 1 } : granted),
      elsewhere: () => granted,
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.admitted.map(({ pool }) => pool)).toEqual(["pool", "pool", "pool"]);
    expect(w.event("job:fallback")).toBeUndefined();
  });

  test.each([
    ["is open", { type: "open", afterMs: 1_000 }],
    ["cannot answer before the deadline", { type: "wait", afterMs: 90_000 }],
  ] as const)("is answered by the second when its own %s", async (_what, admission) => {
    const w = world({ admit: () => admission, elsewhere: () => granted });
    const data = newData({ deadlineAt: NOW + 60_000 });
    expect(await w.through(data)).toMatchObject({ how: "completed" });
    expect(w.settlements).toMatchObject([{ pool: "other", id: `${data.id}/1/other`, outcome: "ok" }]);
    expect(w.event("job:fallback")).toMatchObject({ id: data.id, pool: "pool", to: "other" });
    // Once to ask, and once to call.
    const slots = ["slot taken", "slot released"];
    expect(w.log.filter((entry) => entry.startsWith("slot"))).toEqual([...slots, ...slots]);
  });

  test("holds no slot of the second pool while that makes it wait", async () => {
    const w = world({
      admit: () => ({ type: "open", afterMs: 1 }),
      elsewhere: (asked) => (asked < 4 ? { type: "wait", afterMs: 1 } : granted),
    });
    await w.through(newData());
    const slots = w.log.filter((entry) => entry.startsWith("slot"));
    const asked = ["slot taken", "slot released"];
    expect(slots).toEqual([...asked, ...asked, ...asked]);
  });

  test("holds none while its grant waits there for its start", async () => {
    const w = world({
      admit: () => ({ type: "open", afterMs: 1 }),
      elsewhere: () => ({ type: "granted", waitMs: 60_000 }),
    });
    const { job, left } = w.hold(newData());
    const turn = await w.drain.take(job, w.stop.signal);
    const slots = (): string[] => w.log.filter((entry) => entry.startsWith("slot"));
    expect(slots()).toEqual(["slot taken", "slot released"]);
    await (
      await turn?.start()
    )?.();
    expect(slots()).toEqual(["slot taken", "slot released", "slot taken", "slot released"]);
    expect(w.log.indexOf("model.call")).toBeGreaterThan(w.log.lastIndexOf("slot taken"));
    expect(left).toMatchObject([{ how: "completed" }]);
  });

  test("goes back with its grant when it gets none in time", async () => {
    const w = world({
      admit: () => ({ type: "open", afterMs: 1 }),
      elsewhere: () => granted,
      acquireElsewhere: async () => undefined,
    });
    expect(await w.through(newData())).toMatchObject({ how: "deferred", deferral: { attempt: false } });
    expect(w.event("job:deferred")).toMatchObject({ reason: "no-slot" });
    expect(w.settlements).toMatchObject([{ pool: "other", outcome: "neutral", actual: { requests: 0 } }]);
    expect(w.log).not.toContain("ledger.begin");
  });

  test("takes none for a start that is off", async () => {
    const w = world({
      admit: () => ({ type: "open", afterMs: 1 }),
      elsewhere: () => ({ type: "granted", waitMs: 60_000 }),
    });
    const { job, left } = w.hold(newData());
    const turn = await w.drain.take(job, w.stop.signal);
    w.drain.shut("other");
    expect(turn?.off.aborted).toBe(true);
    await turn?.start();
    expect(w.log.filter((entry) => entry.startsWith("slot"))).toEqual(["slot taken", "slot released"]);
    expect(left).toMatchObject([{ how: "deferred" }]);
  });

  test.each([
    ["its own credentials, with the second shut", ownOut, { type: "open", afterMs: 240_000, cause: "hold" }],
    ["those of the second, with its own shut", { type: "open", afterMs: 600_000, cause: "day" }, ownOut],
  ] as const)("is handed back without %s, and no other is fetched for a while", async (_what, own, other) => {
    const w = world({ admit: () => own, elsewhere: () => other });
    await w.drain.ready(w.stop.signal);
    expect(await w.through(newData())).toMatchObject({ how: "deferred", deferral: { delayMs: 1_000 } });
    const ready = vi.fn<() => void>();
    const waiting = w.drain.ready(w.stop.signal).then(ready);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ready).not.toHaveBeenCalled();
    w.stop.abort();
    await waiting;
  });

  test("waits where it is for a slot of the second, when its own credentials are lost", async () => {
    let slots = 0;
    const w = world({ admit: () => ownOut, elsewhere: () => granted, slotElsewhere: () => (slots += 1) > 1 });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.event("job:deferred")).toBeUndefined();
  });

  test("does not ask the second when that has no slot free", async () => {
    const w = world({
      admit: (asked) => (asked < 3 ? { type: "open", afterMs: 1 } : granted),
      elsewhere: () => granted,
      slotElsewhere: () => false,
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.admitted.map(({ pool }) => pool)).toEqual(["pool", "pool", "pool"]);
  });

  test("goes on there at once when its own model is overloaded, at no attempt", async () => {
    const w = world({ call: () => failed("overloaded"), elsewhere: () => granted });
    expect(await w.through(newData())).toMatchObject({
      how: "deferred",
      deferral: { delayMs: 125, attempt: false, notes: { entry: 1 } },
    });
  });

  test("begins with the pool that its last try noted", async () => {
    const w = world({ elsewhere: () => granted, notes: { ...NO_NOTES, entry: 1 } });
    await w.through(newData(), { attemptsStarted: 2 });
    expect(w.admitted.map(({ pool }) => pool)).toEqual(["other"]);
  });
});

test("a job whose noted pool has left the chain goes on with what is there", async () => {
  const w = world({ notes: { ...NO_NOTES, entry: 1 } });
  expect(await w.through(newData(), { attemptsStarted: 2 })).toMatchObject({ how: "completed" });
  expect(w.admitted.map(({ pool }) => pool)).toEqual(["pool"]);
});
