/** What a newer version of Sluice wrote is left to its programs: handed back, shown, and never taken for malformed. */
import * as fc from "fast-check";
import { NewerVersionError, NO_NOTES, type SluiceEvents } from "@sluice/job";
import { describe, expect, test } from "vitest";
import {
  createCancel,
  createExplain,
  createFind,
  Mover,
  Poller,
  type Dead,
  type ReadingPool,
} from "../src/index.ts";
import { newerDelayMs } from "../src/newer.ts";
import { newData, NOW, world } from "./fakes.ts";

/** What a later version may make of job data: another payload, another kind, a field nobody knows. */
function ofNextVersion() {
  const { payload: _, ...rest } = newData();
  return { ...rest, version: 2, kind: "batch", parts: [{ encoding: "zstd" }], budget: { tokens: 7 } };
}

describe("a job of a newer version", () => {
  test("goes back at no attempt, later each time, and is told of once", async () => {
    const w = world();
    const data = ofNextVersion();
    const reason = "A newer version of Sluice wrote its data (version 2, this program reads up to 1)";
    expect(await w.through(data)).toEqual({
      how: "deferred",
      deferral: { delayMs: 1_500, attempt: false, reason },
    });
    expect(await w.through(ofNextVersion(), { attemptsStarted: 4 })).toMatchObject({
      deferral: { delayMs: 12_000, attempt: false },
    });
    expect(w.log).toEqual(["job.defer", "job.defer"]);
    expect(w.event("job:deferred")).toMatchObject({ reason: "newer-version", tenant: "acme" });
    expect(w.events.filter(({ name }) => name === "version:newer")).toEqual([
      { name: "version:newer", event: { id: data.id, pool: "pool", what: "data", version: 2, known: 1 } },
    ]);
  });

  test("keeps its place for a moment, so that a lane full of them is no hot loop", async () => {
    const w = world();
    const before = performance.now();
    await w.through(ofNextVersion());
    expect(performance.now() - before).toBeGreaterThanOrEqual(195);
  });

  test("is not polled either", async () => {
    const w = world();
    const events: string[] = [];
    const poller = new Poller({
      poll: async () => {
        throw new Error("Nobody polls what he cannot read");
      },
      outcomes: { get: async () => undefined, put: async () => true },
      cancels: { isRequested: async () => false },
      abort: w.abort.signal,
      emit: (name) => void events.push(name),
      clock: () => NOW,
      random: () => 0.5,
    });
    const { job, left } = w.hold(ofNextVersion());
    expect(await poller.take(job, w.stop.signal)).toBeUndefined();
    expect(left).toMatchObject([{ how: "deferred", deferral: { attempt: false } }]);
    expect(events).toEqual(["job:deferred", "version:newer"]);
  });

  test("that claims to be another job is as malformed as ever", async () => {
    const w = world();
    expect(await w.through(ofNextVersion(), { id: newData().id })).toMatchObject({
      failure: { errorClass: "MalformedJob" },
    });
  });

  test("goes back too when only how it ended, or what its last try left, is newer", async () => {
    const ended = world({ getOutcome: thrown("outcome") });
    expect(await ended.through(newData())).toMatchObject({ how: "deferred", deferral: { attempt: false } });
    expect(ended.log).toEqual(["job.defer"]);
    expect(ended.event("version:newer")).toMatchObject({ what: "outcome", version: 3 });
    expect(ended.event("worker:error")).toBeUndefined();

    const noted = world();
    const notes = thrownLater("notes");
    expect(await noted.through(newData(), { attemptsStarted: 2, notes })).toMatchObject({ how: "deferred" });
    expect(noted.event("version:newer")).toMatchObject({ what: "notes", version: 3 });
  });

  test("gives back what it was granted when its entry in the ledger turns out to be newer", async () => {
    const w = world({ ledger: thrown("call ledger") });
    expect(await w.through(newData())).toMatchObject({ how: "deferred", deferral: { attempt: false } });
    expect(w.log).toEqual(["gate.admit", "ledger.begin", "gate.settle neutral", "job.defer"]);
  });
});

test("a job with fields that were added to this version is called, and keeps them", async () => {
  const w = world();
  const data = { ...newData(), budget: { tokens: 7 } };
  expect(await w.through(data)).toMatchObject({ how: "completed" });
});

test("the pause grows to 5 minutes and is spread over half of itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, random) => {
      const delayMs = newerDelayMs(n, random);
      const most = Math.min(300_000, 2_000 * 2 ** Math.min(20, Math.max(0, n - 1)));
      expect(delayMs).toBeGreaterThanOrEqual(most / 2 - 1);
      expect(delayMs).toBeLessThanOrEqual(most);
    }),
  );
});

test("a dead one waits in the failed set for a mover that can read it, and holds up nobody behind it", async () => {
  const failure = {
    kind: "terminal",
    errorClass: "DeadlineExceeded",
    message: "The deadline passed",
  } as const;
  const dead = (data: { readonly id: string }) => ({
    id: data.id,
    data,
    failure,
    attempts: 0,
    stalls: 0,
    diedAt: NOW,
  });
  const newer = [
    ...Array.from({ length: 60 }, () => dead(ofNextVersion())),
    { ...dead(newData()), failure: new NewerVersionError("failure", 2, 1) },
  ];
  const ours = dead(newData());
  const failed = new Map<string, Dead>([...newer, ours].map((job) => [job.id, job]));
  const stored: string[] = [];
  const events: (keyof SluiceEvents)[] = [];
  const mover = new Mover({
    outboxes: [
      {
        pool: "pool",
        lane: "bulk",
        queue: "pool.bulk",
        outcomes: { get: async () => undefined, put: async () => true },
        cancels: { isRequested: async () => false },
        left: { settleAll: async () => {} },
        size: async () => failed.size,
        oldest: async (limit, skip) => [...failed.values()].slice(skip, skip + limit),
        drop: async ({ id }) => failed.delete(id),
      },
    ],
    deadLetters: { put: async ({ data }) => stored.push(data.id) },
    emit: (name) => void events.push(name),
    clock: () => NOW,
    random: () => 0.5,
  });
  expect(await mover.sweep()).toBe(1);
  expect(stored).toEqual([ours.id]);
  expect(await mover.sweep()).toBe(0);
  expect(failed.size).toBe(61);
  expect(events).toEqual(["version:newer", "version:newer", "dead-letter:stored"]);
});

describe("its caller", () => {
  const data = ofNextVersion();
  const withdrawn: string[] = [];
  const lane = {
    failedSet: "lane:failed",
    find: async () => ({ state: "waiting", data, attemptsMade: 0 }) as const,
    ahead: async () => 0,
    wait: async () => ({
      now: NOW,
      dueAt: undefined,
      fetched: 0,
      locked: false,
      notes: NO_NOTES,
      newer: undefined,
      failure: undefined,
    }),
    withdraw: async (id: string) => withdrawn.push(id) > 0,
  };
  const pool = {
    lanes: ["bulk"],
    deadlineMs: 30_000,
    outcomes: { get: async () => undefined, put: async () => true },
    lineage: { latest: async () => undefined },
    cancels: { request: async () => "first" as const },
    lane: () => lane,
    left: { settleAll: async () => {} },
    polls: { find: async () => undefined, failedSet: "polls:failed" },
    identity: async () => undefined,
    unserved: async () => undefined,
    slots: 1,
    fallback: [],
    budgetMs: () => 1_000,
    fleet: async () => ({ calls: 0, workers: 1 }),
    openCall: async () => undefined,
    leader: async () => undefined,
    reserve: () => ({}),
    explain: async () => Promise.reject(new Error("Its cost is not known")),
  };
  const pools = new Map([["pool", pool satisfies ReadingPool]]);
  const deadLetters = { look: async () => undefined };
  const find = createFind({ pools, deadLetters });

  test("sees it, and nobody else does", async () => {
    expect(await find("acme", data.id)).toMatchObject({ state: "waiting", deadlineAt: data.deadlineAt });
    expect(await find("other", data.id)).toBeUndefined();
  });

  test("hears what it waits for", async () => {
    const explain = createExplain({ pools, find, deadLetters, decodePayload: async () => undefined });
    expect(await explain("acme", data.id)).toEqual({
      id: data.id,
      state: "waiting",
      reason: "newer-version",
      why:
        "A newer version of Sluice wrote its data (version 2, this program reads up to 1): " +
        "it waits for a worker of that version",
    });
  });

  test("can cancel it", async () => {
    expect(await createCancel({ pools, find, clock: () => NOW })("acme", data.id)).toBe("cancelled");
    expect(withdrawn).toEqual([data.id]);
  });
});

function thrown(what: string) {
  return (): never => {
    throw new NewerVersionError(what, 3, 1);
  };
}

function thrownLater(what: string) {
  return async (): Promise<never> => Promise.reject(new NewerVersionError(what, 3, 1));
}
