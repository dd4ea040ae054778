/** At the gate, and from the grant to the start. */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { NO_NOTES } from "@sluice/job";
import { describe, expect, test, vi } from "vitest";
import { answered, NOW, newData, world } from "./fakes.ts";

const refunded = {
  outcome: "neutral",
  actual: { requests: 0, tokens: 0, "input-tokens": 0, "output-tokens": 0 },
};

describe("a job at the gate", () => {
  test("asks for what its call reserves, under a name of this very fetch", async () => {
    const w = world();
    const data = newData();
    await w.through(data, { attemptsStarted: 3 });
    expect(w.admitted).toEqual([
      {
        pool: "pool",
        lane: "bulk",
        job: data.id,
        id: `${data.id}/3/pool`,
        operation: "converse",
        cost: { requests: 1, tokens: 150 },
        // The longest call and a grace.
        ttlMs: 90_000,
      },
    ]);
  });

  test("asks again until it is granted, under the same name", async () => {
    const w = world({
      admit: (asked) =>
        asked < 4 ? { type: asked === 2 ? "open" : "wait", afterMs: 1 } : { type: "granted", waitMs: 1 },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.log.filter((entry) => entry === "gate.admit")).toHaveLength(4);
    expect(new Set(w.admitted.map(({ id }) => id)).size).toBe(1);
    expect(w.settlements).toMatchObject([{ outcome: "ok" }]);
  });

  test("goes back at no cost when the process leaves", async () => {
    const w = world({
      admit: () => {
        w.stop.abort();
        return { type: "wait", afterMs: 60_000 };
      },
    });
    expect(await w.through(newData())).toEqual({ how: "deferred", deferral: { delayMs: 0, attempt: false } });
    expect(w.event("job:deferred")).toMatchObject({ reason: "shutdown" });
    expect(w.log).toEqual(["gate.admit", "job.defer"]);
  });

  test("ends as cancelled as soon as its process hears, however long it was told to wait", async () => {
    const data = newData();
    const w = world({
      admit: () => {
        setImmediate(() => w.drain.cancel(data.id));
        return { type: "open", afterMs: 600_000 };
      },
    });
    expect(await w.through(data)).toEqual({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.log).toEqual(["gate.admit", "outcomes.put cancelled", "job.complete"]);
    expect([...w.drain.inHand]).toEqual([]);
  });

  test("is dead when its deadline passes", async () => {
    const w = world({
      admit: () => {
        w.now += 10_000;
        return { type: "wait", afterMs: 1 };
      },
    });
    const left = await w.through(newData({ deadlineAt: NOW + 25_000 }));
    expect(left).toMatchObject({ how: "failed", failure: { errorClass: "DeadlineExceeded" } });
    expect(w.log).toEqual(["gate.admit", "gate.admit", "gate.admit", "job.fail"]);
  });

  test("does not sleep past its deadline, however long it is told to wait", async () => {
    const w = world({
      admit: (asked) => {
        if (asked > 1) w.now += 1_000;
        return { type: "open", afterMs: 600_000 };
      },
    });
    expect(await w.through(newData({ deadlineAt: NOW + 20 }))).toMatchObject({
      failure: { errorClass: "DeadlineExceeded" },
    });
  });

  test("does not wait past its deadline for the one that asks before it", async () => {
    const w = world({ admit: () => ({ type: "open", afterMs: 600_000 }) });
    const head = w.hold(newData());
    const asking = w.drain.take(head.job, w.stop.signal);
    await vi.waitUntil(() => w.admitted.length > 0);
    const second = w.hold(newData({ deadlineAt: NOW + 20 }));
    const waiting = w.drain.take(second.job, w.stop.signal);
    // Everything it asks before the gate is answered by then: it stands in line.
    await turnOfTheLoop();
    w.now += 20;
    await waiting;
    expect(second.left).toMatchObject([{ how: "failed", failure: { errorClass: "DeadlineExceeded" } }]);
    expect(head.left).toEqual([]);
    w.stop.abort();
    await asking;
  });

  test("that is too large for what is left of the day leaves its lane to smaller ones, at no cost", async () => {
    const large = newData();
    const w = world({
      admit: (asked) =>
        asked === 1
          ? { type: "open", cause: "day-rest", afterMs: 20 * 3_600_000 }
          : { type: "granted", waitMs: 0 },
    });
    // After a minute at first, then ever more rarely: room may come back.
    const deferral = { delayMs: 45_000, attempt: false };
    expect(await w.through(large)).toEqual({ how: "deferred", deferral });
    expect(w.event("job:deferred")).toMatchObject({ reason: "day-rest" });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
  });

  test("comes back when the day turns, and not after its deadline", async () => {
    const rest = { type: "open", cause: "day-rest", afterMs: 10_000 } as const;
    const turning = world({ admit: () => rest });
    expect(await turning.through(newData({ deadlineAt: NOW + 3_600_000 }))).toMatchObject({
      deferral: { delayMs: 25_000 },
    });
    const ending = world({ admit: () => rest });
    expect(await ending.through(newData({ deadlineAt: NOW + 5_000 }))).toMatchObject({
      deferral: { delayMs: 5_000 },
    });
  });

  test("that is too large for the day goes to the next pool of its chain, if that grants it", async () => {
    const rest = { type: "open", cause: "day-rest", afterMs: 20 * 3_600_000 } as const;
    const granted = world({ admit: () => rest, elsewhere: () => ({ type: "granted", waitMs: 0 }) });
    expect(await granted.through(newData())).toMatchObject({ how: "completed" });
    const waiting = world({ admit: () => rest, elsewhere: () => ({ type: "wait", afterMs: 700 }) });
    expect(await waiting.through(newData())).toMatchObject({ deferral: { delayMs: 700, attempt: false } });
  });

  test("of a process that alone is denied access is handed to the others, at no cost", async () => {
    const w = world({ admit: () => ({ type: "open", cause: "denied", afterMs: 10_000 }) });
    expect(await w.through(newData())).toEqual({
      how: "deferred",
      deferral: { delayMs: 1_000, attempt: false },
    });
    expect(w.event("job:deferred")).toMatchObject({ reason: "denied-here" });
  });

  test("that has failed gives way to one that has not while the pool is shut, and is the next after it", async () => {
    let open = false;
    const w = world({
      notes: { ...NO_NOTES, failures: 1 },
      admit: () => (open ? { type: "granted", waitMs: 0, probe: true } : { type: "open", afterMs: 20 }),
    });
    const failed = [1, 2].map(() => w.hold(newData(), { attemptsStarted: 2 }));
    const taking = failed.map(async ({ job }) => w.drain.take(job, w.stop.signal));
    await vi.waitUntil(() => w.admitted.length > 0);
    const fresh = w.hold(newData());
    const probe = w.drain.take(fresh.job, w.stop.signal);
    await vi.waitUntil(() => w.admitted.at(-1)?.job === fresh.job.id);
    const { length } = w.admitted;
    open = true;
    expect(await probe).toMatchObject({ waitMs: 0 });
    await Promise.all(taking);
    expect(new Set(w.admitted.slice(0, length - 1).map(({ job }) => job)).size).toBeLessThan(3);
    const jobs = w.admitted.slice(length).map(({ job }) => job);
    expect(jobs[0]).toBe(fresh.job.id);
    expect(jobs.slice(1).toSorted()).toEqual(failed.map(({ job }) => job.id).toSorted());
  });

  test("that has failed asks on when nobody else waits, and can be cancelled while it gives way", async () => {
    const w = world({
      notes: { ...NO_NOTES, failures: 1 },
      admit: () => ({ type: "open", afterMs: 5 }),
    });
    const failed = w.hold(newData(), { attemptsStarted: 2 });
    const ending = w.drain.take(failed.job, w.stop.signal);
    await vi.waitUntil(() => w.admitted.length > 2);
    const fresh = w.hold(newData());
    const asking = w.drain.take(fresh.job, w.stop.signal);
    await vi.waitUntil(() => w.admitted.at(-1)?.job === fresh.job.id);
    w.drain.cancel(failed.job.id);
    await ending;
    expect(failed.left).toMatchObject([{ reference: { outcome: "cancelled" } }]);
    w.stop.abort();
    await asking;
  });

  test("waits out a gate that does not answer, and tells", async () => {
    const w = world({
      admit: (asked) => {
        if (asked === 1) throw new Error("Connection is closed");
        return { type: "granted", waitMs: 0 };
      },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.events[0]).toEqual({
      name: "worker:error",
      event: { part: "gate", error: "Error: Connection is closed" },
    });
  });

  test("stays locked in Redis when the gate does not answer and the process leaves: the stall check has it", async () => {
    const w = world({
      admit: () => {
        w.stop.abort();
        throw new Error("Connection is closed");
      },
    });
    await expect(w.through(newData())).rejects.toThrow("Connection is closed");
    expect(w.log).toEqual(["gate.admit"]);
  });
});

describe("a granted job", () => {
  test("that the process cannot start any more gives its grant back, then itself", async () => {
    const w = world({
      admit: () => {
        w.stop.abort();
        return { type: "granted", waitMs: 60_000 };
      },
    });
    expect(await w.through(newData())).toEqual({ how: "deferred", deferral: { delayMs: 0, attempt: false } });
    expect(w.settlements).toMatchObject([{ ...refunded, id: w.admitted[0]?.id }]);
    expect(w.log).toEqual(["gate.admit", "gate.settle neutral", "job.defer"]);
  });

  test("whose start is after its deadline gives its grant back and is dead", async () => {
    const w = world({
      admit: () => {
        w.now += 5_000;
        return { type: "granted", waitMs: 1 };
      },
    });
    const left = await w.through(newData({ deadlineAt: NOW + 5_000 }));
    expect(left).toMatchObject({ how: "failed", failure: { errorClass: "DeadlineExceeded" } });
    expect(w.settlements).toMatchObject([refunded]);
  });

  test("that its caller cancelled meanwhile gives its grant back and ends as cancelled", async () => {
    const w = world({ cancelRequested: (asked) => asked === 2 });
    const data = newData();
    expect(await w.through(data)).toEqual({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.settlements).toMatchObject([refunded]);
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "cancelled" });
    expect(w.log.filter((entry) => entry !== "ledger.begin")).toEqual([
      "gate.admit",
      "gate.settle neutral",
      "outcomes.put cancelled",
      "job.complete",
    ]);
  });

  test("that hears of its cancelling before its start gives its grant back at once", async () => {
    const data = newData();
    const w = world({
      admit: () => {
        setImmediate(() => w.drain.cancel(data.id));
        return { type: "granted", waitMs: 600_000 };
      },
    });
    expect(await w.through(data)).toEqual({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.settlements).toMatchObject([refunded]);
  });

  test.each([
    ["runs in another process", { type: "busy", retryAfterMs: 700 }, { delayMs: 700, attempt: false }],
    ["has just ended", { type: "ended" }, { delayMs: 0, attempt: false }],
  ] as const)("that %s gives its grant back and comes again", async (_what, answer, deferral) => {
    const w = world({ ledger: () => answer });
    expect(await w.through(newData())).toEqual({ how: "deferred", deferral });
    expect(w.settlements).toMatchObject([refunded]);
    expect(w.log).not.toContain("model.call");
  });

  test("that has had all the calls it may have gives its grant back and is dead", async () => {
    const w = world({ ledger: () => ({ type: "cap", calls: 5, left: [] }) });
    expect(await w.through(newData())).toMatchObject({ how: "failed", failure: { kind: "terminal" } });
    expect(w.settlements).toMatchObject([refunded]);
  });

  test("whose last look is not answered gives its grant back, without waiting to be heard", async () => {
    const w = world({
      ledger: () => {
        w.stop.abort();
        throw new Error("Connection is closed");
      },
      settle: () => {
        if (!w.abort.signal.aborted) throw new Error("Connection is closed too");
        return {};
      },
    });
    await expect(w.through(newData())).rejects.toThrow("Connection is closed");
    expect(w.event("worker:error")).toEqual({ part: "gate", error: "Error: Connection is closed too" });
    w.abort.abort();
    await vi.waitFor(() => expect(w.settlements).toMatchObject([{ ...refunded, id: w.admitted[0]?.id }]));
  });

  test("leaves the gate at once: the next of its lane asks while it waits for its start", async () => {
    const w = world({ admit: () => ({ type: "granted", waitMs: 600_000 }) });
    const [first, second] = [w.hold(newData()), w.hold(newData())];
    const turn = await w.drain.take(first.job, w.stop.signal);
    expect(turn).toMatchObject({ waitMs: 600_000 });
    expect(await w.drain.take(second.job, w.stop.signal)).toMatchObject({ waitMs: 600_000 });
    // Nothing says yet that a call is made.
    expect(w.log).toEqual(["gate.admit", "gate.admit"]);
    expect([...w.drain.inHand]).toEqual([first.job.id, second.job.id]);
  });

  test("goes back, and its grant whole, when its pool is shut before its start", async () => {
    const w = world({
      admit: () => {
        setImmediate(() => {
          w.drain.shut("another pool");
          w.drain.shut("pool");
        });
        return { type: "granted", waitMs: 600_000 };
      },
    });
    expect(await w.through(newData())).toEqual({ how: "deferred", deferral: { delayMs: 0, attempt: false } });
    expect(w.event("job:deferred")).toMatchObject({ reason: "pool-shut" });
    expect(w.settlements).toMatchObject([refunded]);
    expect(w.log).toEqual(["gate.admit", "gate.settle neutral", "job.defer"]);
  });

  test("starts when its pool is shut but its call is to find out whether it works again", async () => {
    const w = world({
      admit: () => {
        setImmediate(() => w.drain.shut("pool"));
        return { type: "granted", waitMs: 20, probe: true };
      },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
  });

  test("is not taken back once its call has begun", async () => {
    const w = world({
      call: () => {
        w.drain.shut("pool");
        return answered;
      },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
  });

  test("says how long it waited since it was accepted", async () => {
    const w = world();
    await w.through(newData({ acceptedAt: NOW - 12_345 }));
    expect(w.event("job:granted")).toMatchObject({ waitedMs: 12_345, tenant: "acme" });
  });
});
