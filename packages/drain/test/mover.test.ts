import { parseJobId, type Failure, type Outcome, type SluiceEvents } from "@sluice/job";
import { describe, expect, onTestFinished, test } from "vitest";
import { Mover, type Dead, type LeftJob, type MoverOptions, type Outbox } from "../src/index.ts";
import { newData, SECRET } from "./fakes.ts";

const failure: Failure = { kind: "terminal", errorClass: "ValidationException", message: "no" };

function deadJob(part: Partial<Dead> = {}): Dead {
  const data = newData();
  return { id: data.id, data, failure, attempts: 2, stalls: 1, diedAt: 5_000, ...part };
}

/** A lane's failed set, the outcomes and the store, in memory. */
function world(
  jobs: Dead[],
  {
    store,
    everyMs = 10,
    queue = "pool.bulk",
  }: { store?: (id: string) => Promise<void> | void; everyMs?: number; queue?: string } = {},
) {
  const failed = new Map(jobs.map((job) => [job.id, job]));
  const log: string[] = [];
  const cancelled = new Set<string>();
  const settled: LeftJob[] = [];
  let reads = 0;
  const letters: Parameters<MoverOptions["deadLetters"]["put"]>[0][] = [];
  const outcomes = new Map<string, Outcome>();
  const events: { name: keyof SluiceEvents; event: object }[] = [];
  const outbox: Outbox = {
    pool: "pool",
    lane: "bulk",
    queue,
    outcomes: {
      get: async (id) => outcomes.get(id),
      async put(outcome) {
        log.push("tombstone");
        outcomes.set(outcome.id, outcome);
        return true;
      },
    },
    cancels: { isRequested: async (id) => cancelled.has(id) },
    left: { settleAll: async (job) => void settled.push(job) },
    size: async () => failed.size,
    async oldest(limit, skip) {
      reads += 1;
      return [...failed.values()].slice(skip, skip + limit);
    },
    async drop(job) {
      log.push("drop");
      if (failed.get(job.id)?.diedAt !== job.diedAt) return false;
      return failed.delete(job.id);
    },
  };
  const mover = new Mover({
    outboxes: [outbox],
    deadLetters: {
      async put(letter) {
        log.push("store");
        await store?.(letter.data.id);
        letters.push(letter);
      },
    },
    emit: (name, event) => void events.push({ name, event }),
    clock: Date.now,
    random: () => 0.5,
    everyMs,
  });
  onTestFinished(async () => mover.stop());
  return { mover, outbox, failed, log, letters, outcomes, cancelled, settled, events, reads: () => reads };
}

describe("a sweep", () => {
  test("owes no letter to a job that was answered before something failed it", async () => {
    const job = deadJob();
    const w = world([job]);
    w.outcomes.set(job.id, {
      outcome: "cancelled",
      id: job.id,
      tenant: "acme",
      acceptedAt: 1,
      endedAt: 2,
      attempts: 1,
    });
    expect(await w.mover.sweep()).toBe(1);
    expect(w.log).toEqual(["drop"]);
    expect(w.outcomes.get(job.id)).toMatchObject({ outcome: "cancelled" });
    expect(w.events).toEqual([]);
  });

  test("owes no letter to a job whose caller was told that it is cancelled before it failed", async () => {
    const job = deadJob();
    const w = world([job]);
    w.cancelled.add(job.id);
    expect(await w.mover.sweep()).toBe(1);
    expect(w.log).toEqual(["tombstone", "drop"]);
    expect(w.outcomes.get(job.id)).toMatchObject({ outcome: "cancelled", tenant: "acme" });
    expect(w.events).toMatchObject([{ name: "job:cancelled", event: { id: job.id } }]);
  });

  test("passes over letters that the store refuses, more than a batch of them", async () => {
    const refused = Array.from({ length: 49 }, () => deadJob());
    const good = Array.from({ length: 60 }, () => deadJob());
    const ids = new Set(refused.map(({ id }) => id));
    const w = world([...refused, ...good], {
      store: (id) => {
        if (ids.has(id)) throw new Error("refused");
      },
    });
    await w.mover.sweep();
    expect(w.letters).toHaveLength(good.length);
    expect([...w.failed.keys()].toSorted()).toEqual([...ids].toSorted());
    expect(w.events).toContainEqual({
      name: "dead-letter:blocked",
      event: { waiting: refused.length, error: "Error: refused" },
    });
  });

  test("settles what calls of vanished workers hold, of every job that comes by", async () => {
    const [died, cancelled] = [deadJob({ fetched: 4 }), deadJob()];
    const w = world([died, cancelled]);
    w.cancelled.add(cancelled.id);
    await w.mover.sweep();
    expect(w.settled).toMatchObject([
      { id: died.id, fetched: 4, stalls: 1 },
      { id: cancelled.id, fetched: 0, stalls: 1 },
    ]);
  });

  test("stores a dead job, leaves a tombstone, then drops it", async () => {
    const job = deadJob();
    const w = world([job]);
    expect(await w.mover.sweep()).toBe(1);
    expect(w.log).toEqual(["store", "tombstone", "drop"]);
    expect(w.letters).toEqual([{ data: job.data, failure, attempts: 2, stalls: 1, diedAt: 5_000 }]);
    expect(w.outcomes.get(job.id)).toMatchObject({
      outcome: "dead",
      tenant: "acme",
      endedAt: 5_000,
      attempts: 2,
      failure,
    });
    expect(w.events).toEqual([
      {
        name: "dead-letter:stored",
        event: { id: job.id, errorClass: "ValidationException", kind: "terminal" },
      },
    ]);
  });

  test("moves everything, however much there is", async () => {
    const w = world(Array.from({ length: 175 }, () => deadJob()));
    expect(await w.mover.sweep()).toBe(175);
    expect(w.failed.size).toBe(0);
  });

  test("leaves the job where it is while the store is down, and says so", async () => {
    const w = world([deadJob(), deadJob()], {
      store: () => {
        throw new Error("no table");
      },
    });
    expect(await w.mover.sweep()).toBe(0);
    expect(w.failed.size).toBe(2);
    expect(w.log).not.toContain("drop");
    expect(w.outcomes.size).toBe(0);
    expect(w.events).toEqual([
      { name: "dead-letter:blocked", event: { waiting: 2, error: "Error: no table" } },
    ]);
  });

  test("does not drop a job that was retried after it was read, and tells nobody that it did", async () => {
    const job = deadJob();
    const w = world([job], { store: (id) => void w.failed.delete(id) });
    expect(await w.mover.sweep()).toBe(0);
    expect(w.events).toEqual([]);
  });

  test("goes on to the next lane when one fails", async () => {
    const w = world([deadJob()]);
    const broken: Outbox = {
      ...w.outbox,
      size: async () => Promise.reject(new Error("Connection is closed")),
      oldest: async () => Promise.reject(new Error("Connection is closed")),
    };
    const events: string[] = [];
    const mover = new Mover({
      outboxes: [broken, w.outbox],
      deadLetters: { put: async () => undefined },
      emit: (name) => void events.push(name),
      clock: Date.now,
      random: () => 0.5,
    });
    expect(await mover.sweep()).toBe(1);
    expect(events).toEqual(["dead-letter:blocked", "dead-letter:stored"]);
  });

  test("keeps what nobody can read as it is, so that a person can look at it", async () => {
    const { id } = newData();
    const w = world([deadJob({ id, data: { version: 9, prompt: SECRET } })]);
    expect(await w.mover.sweep()).toBe(1);
    expect(w.letters[0]?.data).toMatchObject({
      id,
      pool: "pool",
      lane: "bulk",
      payload: { encoding: "json", json: JSON.stringify({ version: 9, prompt: SECRET }) },
    });
    expect(JSON.stringify(w.events)).not.toContain(SECRET);
  });
});

describe("a foreign job", () => {
  const foreign = { id: "1108", data: { prompt: SECRET }, failure, attempts: 1, stalls: 0, diedAt: 5_000 };

  test("gets an id of ours, so that it can be opened, replayed and closed like any other", async () => {
    const w = world([foreign]);
    expect(await w.mover.sweep()).toBe(1);
    const { data, failure: told } = w.letters[0] ?? {};
    expect(parseJobId(data?.id ?? "")).toMatchObject({ pool: "pool", lane: "bulk", replay: 0 });
    expect(data).toMatchObject({
      tenant: "unknown",
      payload: { encoding: "json", json: JSON.stringify({ prompt: SECRET }) },
    });
    expect(told?.message).toBe("Job '1108': no");
    expect(w.outcomes.get(data?.id ?? "")).toMatchObject({ outcome: "dead" });
    expect(w.failed.size).toBe(0);
  });

  test("is the same letter when it is moved again, and no other job's of the same id in another queue", async () => {
    const first = world([foreign]);
    const again = world([foreign]);
    const elsewhere = world([foreign], { queue: "pool.polls.internal" });
    for (const { mover } of [first, again, elsewhere]) await mover.sweep();
    const ids = [first, again, elsewhere].map(({ letters }) => letters[0]?.data.id);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test("that carries data of another job is a letter of its own", async () => {
    const data = newData();
    const w = world([{ ...foreign, data }]);
    await w.mover.sweep();
    expect(w.letters[0]?.data.id).not.toBe(data.id);
    expect(w.letters[0]?.data.payload).toEqual(data.payload);
  });

  test("with a score and counters that are none of ours is stored all the same", async () => {
    const w = world([{ ...foreign, diedAt: 0.5, attempts: -1, stalls: Number.NaN }]);
    expect(await w.mover.sweep()).toBe(1);
    expect(w.letters[0]).toMatchObject({ diedAt: 0, attempts: 0, stalls: 0 });
  });

  test("whose replay a version before put into its lane dies on its own letter", async () => {
    const data = newData({ id: "1108.r1" });
    const w = world([deadJob({ id: data.id, data })]);
    await w.mover.sweep();
    expect(w.letters[0]?.data.id).toBe("1108.r1");
  });
});

describe("a mover", () => {
  test("sweeps when it starts, and again later by itself", async () => {
    const w = world([deadJob()]);
    w.mover.start();
    await expect.poll(() => w.failed.size).toBe(0);
    const late = deadJob();
    w.failed.set(late.id, late);
    await expect.poll(() => w.failed.size).toBe(0);
  });

  test("nudged during a sweep sweeps once more, without two sweeps at a time", async () => {
    const storing = Promise.withResolvers<undefined>();
    const w = world([deadJob()], { store: async () => storing.promise, everyMs: 60_000 });
    w.mover.nudge();
    await expect.poll(() => w.log).toEqual(["store"]);
    const late = deadJob();
    w.failed.set(late.id, late);
    w.mover.nudge();
    w.mover.nudge();
    expect(w.reads()).toBe(1);
    storing.resolve(undefined);
    await expect.poll(() => w.failed.size).toBe(0);
    expect(w.reads()).toBe(2);
  });

  test("that was stopped has ended its sweep and begins none", async () => {
    const w = world([deadJob()]);
    w.mover.start();
    await w.mover.stop();
    expect(w.failed.size).toBe(0);
    const late = deadJob();
    w.failed.set(late.id, late);
    w.mover.nudge();
    await w.mover.stop();
    expect(w.failed.size).toBe(1);
  });
});
