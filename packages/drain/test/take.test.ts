/** Everything that is decided about a job before it asks for quota. */
import { NO_NOTES, type Notes } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { NOTHING } from "../src/settlement.ts";
import { answer, answered, failed, go, NOW, newData, SECRET, usage, world, type World } from "./fakes.ts";

describe("a job is dead at once", () => {
  test.each([
    ["nothing", undefined],
    ["text", "job"],
    ["data of no version", { ...newData(), version: 0 }],
    ["data of a newer version that lacks what all have", { ...newData(), version: 2, deadlineAt: undefined }],
    ["data without a tenant", { ...newData(), tenant: undefined }],
  ])("when it carries %s", async (_what, data) => {
    const w = world();
    expect(await w.through(data)).toMatchObject({
      how: "failed",
      failure: { kind: "terminal", errorClass: "MalformedJob" },
    });
    expect(w.log).toEqual(["job.fail"]);
  });

  test("when its data is another job's, whose answer it would be given", async () => {
    const w = world();
    expect(await w.through(newData(), { id: newData().id })).toMatchObject({
      how: "failed",
      failure: { errorClass: "MalformedJob" },
    });
    expect(w.log).toEqual(["job.fail"]);
  });

  test.each([
    ["is no JSON", "{"],
    ["is no conversation", '{"messages":[]}'],
  ])("when its request %s", async (_what, json) => {
    const w = world();
    const left = await w.through(newData({ payload: { encoding: "json", json } }));
    expect(left).toMatchObject({ how: "failed", failure: { errorClass: "MalformedJob" } });
    expect(w.log).toEqual(["job.fail"]);
    expect(w.event("job:dead")).toMatchObject({ tenant: "acme", pool: "pool", lane: "bulk" });
  });

  test("when its worker died in the middle of its call more often than crashes explain", async () => {
    const w = world({ ledger: () => go({ call: 5, lost: 4 }) });
    expect(await w.through(newData())).toMatchObject({
      failure: {
        kind: "terminal",
        errorClass: "StalledTooOften",
        message: "Its worker vanished under it 4 times",
      },
    });
    const once = world({ ledger: () => go({ call: 4, lost: 3 }) });
    expect(await once.through(newData())).toMatchObject({ how: "completed" });
  });

  test("when its worker vanished under it before its call, far more often than others' crashes explain", async () => {
    const w = world();
    expect(await w.through(newData(), { stalls: 21 })).toMatchObject({
      failure: { errorClass: "StalledTooOften", message: "Its worker vanished under it 21 times" },
    });
    expect(await w.through(newData(), { stalls: 20 })).toMatchObject({ how: "completed" });
  });

  test("but not of the crashes of others while it waited at the gate", async () => {
    const outlived = { ...NO_NOTES, stallsOutlived: 30 };
    const kept: Notes[] = [];
    const keepNotes = async (notes: Notes): Promise<void> => void kept.push(notes);
    const w = world({ notes: outlived });
    const comesToTheGate = { stalls: 50, attemptsStarted: 51, keepNotes };
    expect(await w.through(newData(), comesToTheGate)).toMatchObject({ how: "completed" });
    expect(kept).toEqual([{ ...outlived, stallsOutlived: 50 }]);
    const next = { stalls: 51, attemptsStarted: 52 };
    expect(await w.through(newData(), next)).toMatchObject({
      failure: { errorClass: "StalledTooOften", message: "Its worker vanished under it 21 times" },
    });
  });

  test("when something outside has decided so", async () => {
    const w = world();
    const left = await w.through(newData(), { deferredFailure: "job stalled more than allowable limit" });
    expect(left).toMatchObject({
      failure: { errorClass: "StalledTooOften", message: "job stalled more than allowable limit" },
    });
  });

  test("when its deadline has passed", async () => {
    const w = world();
    const left = await w.through(newData({ deadlineAt: NOW }));
    expect(left).toMatchObject({ failure: { kind: "terminal", errorClass: "DeadlineExceeded" } });
    expect(w.log).toEqual(["job.fail"]);
  });
});

describe("a job that has ended before", () => {
  const ended = { tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };

  test.each(["completed", "filtered"] as const)("%s is completed again without a call", async (outcome) => {
    const w = world();
    const data = newData();
    w.outcomes.set(data.id, { ...ended, id: data.id, outcome, answer });
    expect(await w.through(data, { stalls: 9 })).toEqual({
      how: "completed",
      reference: {
        outcome,
        model: "model-1",
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
      },
    });
    expect(w.log).toEqual(["job.complete"]);
    expect(w.events.map(({ name }) => name)).toEqual(["job:recovered"]);
  });

  test("dead is failed again with its failure", async () => {
    const w = world();
    const data = newData({ deadlineAt: NOW - 1 });
    const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" } as const;
    w.outcomes.set(data.id, { ...ended, id: data.id, outcome: "dead", failure });
    expect(await w.through(data)).toEqual({ how: "failed", failure });
  });
});

describe("a job is put off", () => {
  test("while a run of it is under way in this process", async () => {
    const call = Promise.withResolvers<undefined>();
    const w = world({
      call: async () => {
        await call.promise;
        return answered;
      },
    });
    const data = newData();
    const first = w.through(data);
    await expect.poll(() => w.log).toContain("model.call");
    expect(await w.through(data, { stalls: 1, attemptsStarted: 2 })).toEqual({
      how: "deferred",
      deferral: { delayMs: 1_000, attempt: false },
    });
    expect(w.event("job:deferred")).toMatchObject({ reason: "running-here" });
    call.resolve(undefined);
    expect(await first).toMatchObject({ how: "completed" });
    expect(w.log.filter((entry) => entry === "model.call")).toHaveLength(1);
  });

  test("when two calls ended with its worker, while many like it run here: soon, and at no cost", async () => {
    const call = Promise.withResolvers<undefined>();
    const w = world({
      ledger: () => go({ call: 3, lost: 2 }),
      call: async () => {
        await call.promise;
        return answered;
      },
    });
    const together = Array.from({ length: 8 }, async () => w.through(newData(), { stalls: 2 }));
    await expect.poll(() => w.log.filter((entry) => entry === "model.call")).toHaveLength(8);
    const other = newData();
    expect(await w.through(other, { stalls: 2 })).toEqual({
      how: "deferred",
      deferral: { delayMs: 375, attempt: false },
    });
    expect(w.event("job:deferred")).toMatchObject({ reason: "suspect", id: other.id });
    call.resolve(undefined);
    await Promise.all(together);
    expect(await w.through(other, { stalls: 2 })).toMatchObject({ how: "completed" });
  });

  test("when it can afford no other lost call, while any suspect runs here: it could be beside the killer", async () => {
    const call = Promise.withResolvers<undefined>();
    const lost = new Map<string, number>();
    const w = world({
      ledger: (id) => go({ call: 4, lost: lost.get(id) ?? 0 }),
      call: async (_call, calls) => {
        if (calls === 1) await call.promise;
        return answered;
      },
    });
    const [suspect, atItsLast, once] = [newData(), newData(), newData()];
    lost.set(suspect.id, 2).set(atItsLast.id, 3).set(once.id, 1);
    const running = w.through(suspect, { stalls: 2 });
    await expect.poll(() => w.log).toContain("model.call");
    expect(await w.through(atItsLast, { stalls: 3 })).toMatchObject({ how: "deferred" });
    // Once is no suspicion: a crash sends everything back that was in flight.
    expect(await w.through(once, { stalls: 9 })).toMatchObject({ how: "completed" });
    call.resolve(undefined);
    await running;
    expect(await w.through(atItsLast, { stalls: 3 })).toMatchObject({ how: "completed" });
  });

  test("not when its worker vanished before its call, however often: any number of them run side by side", async () => {
    const call = Promise.withResolvers<undefined>();
    const w = world({
      call: async () => {
        await call.promise;
        return answered;
      },
    });
    const all = Array.from({ length: 30 }, async () => w.through(newData(), { stalls: 9 }));
    await expect.poll(() => w.log.filter((entry) => entry === "model.call")).toHaveLength(30);
    call.resolve(undefined);
    expect(new Set((await Promise.all(all)).map((left) => left?.how))).toEqual(new Set(["completed"]));
  });
});

/** What was settled: of which fetch, and for how much. */
const settled = (w: World): unknown[] => w.settlements.map(({ id, actual }) => [id.split("/")[1], actual]);

describe("a job whose worker vanished", () => {
  test("is read with a call of its own in the ledger: if that kills its worker, it is found out", async () => {
    const w = world({
      options: {
        decodePayload: async () => {
          w.log.push("decode");
          return { messages: [{ role: "user", content: [{ text: SECRET }] }], maxTokens: 50 };
        },
      },
    });
    await w.through(newData(), { stalls: 1 });
    expect(w.log.slice(0, 4)).toEqual(["ledger.begin", "decode", "ledger.abandon", "gate.admit"]);
  });

  test("is not even read while somebody who lives may be calling for it", async () => {
    const w = world({ ledger: () => ({ type: "busy", retryAfterMs: 900 }) });
    expect(await w.through(newData(), { stalls: 1 })).toEqual({
      how: "deferred",
      deferral: { delayMs: 900, attempt: false },
    });
    expect(w.log).toEqual(["ledger.begin", "job.defer"]);
  });

  test("before its call gets all back that its last worker had reserved for it", async () => {
    const w = world({ admit: () => ({ type: "wait", afterMs: 60_000 }) });
    const data = newData();
    const { job } = w.hold(data, { stalls: 1, attemptsStarted: 3 });
    void w.drain.take(job, w.stop.signal);
    await expect.poll(() => w.log).toContain("gate.admit");
    expect(settled(w)).toEqual(["1", "2"].map((fetched) => [fetched, NOTHING]));
    expect(w.settlements.map(({ id }) => id)).toEqual([`${data.id}/1/pool`, `${data.id}/2/pool`]);
    w.stop.abort();
  });

  test("in its call under a worker of the version before, which has noted nothing, pays what was reserved", async () => {
    const w = world({
      ledger: () => go({ call: 2, lost: 1, unnamed: true }),
      admit: () => ({ type: "wait", afterMs: 60_000 }),
    });
    const { job } = w.hold(newData(), { stalls: 1, attemptsStarted: 2 });
    void w.drain.take(job, w.stop.signal);
    await expect.poll(() => w.log).toContain("gate.admit");
    // What is left out counts as reserved.
    expect(settled(w)).toEqual([["1", {}]]);
    w.stop.abort();
  });

  test("after its answer was stored pays for that answer", async () => {
    const w = world();
    const data = newData();
    const ended = { tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1, id: data.id };
    w.outcomes.set(data.id, { ...ended, outcome: "completed", answer });
    await w.through(data, { stalls: 1, attemptsStarted: 2 });
    expect(settled(w)).toEqual([["1", { requests: 1, tokens: 120 }]]);
    expect(w.log).toEqual(["gate.settle neutral", "job.complete"]);
  });
});

describe("an answer to an equal request", () => {
  const cached = newData({ cacheMs: 60_000 });

  test("that is known serves the job: no quota, no call", async () => {
    const w = world({ cache: () => ({ type: "hit", answer }) });
    expect(await w.through(cached)).toMatchObject({ how: "completed", reference: { outcome: "completed" } });
    expect(w.outcomes.get(cached.id)).toMatchObject({ answer: { ...answer, cached: true } });
    expect(w.log).toEqual(["outcomes.put completed", "job.complete"]);
  });

  test("that is on its way is waited for", async () => {
    const w = world({ cache: () => ({ type: "follow", retryAfterMs: 800 }) });
    expect(await w.through(cached)).toEqual({ how: "deferred", deferral: { delayMs: 800, attempt: false } });
    expect(w.event("job:deferred")).toMatchObject({ reason: "shared" });
  });

  test("that is on its way is asked for ever less often, not only when its leader is given up", async () => {
    const w = world({ cache: () => ({ type: "follow", retryAfterMs: 600_000 }) });
    const delays = [1, 2, 3, 50].map(async (attemptsStarted) => w.through(cached, { attemptsStarted }));
    expect(await Promise.all(delays)).toMatchObject(
      [1_000, 1_500, 2_250, 30_000].map((delayMs) => ({ how: "deferred", deferral: { delayMs } })),
    );
  });

  test("that nobody has is kept for others after the job's own is stored", async () => {
    const w = world();
    await w.through(cached);
    expect(w.log.indexOf("cache.put")).toBeGreaterThan(w.log.indexOf("outcomes.put completed"));
    const other = world();
    await other.through(newData());
    expect(other.log).not.toContain("cache.put");
  });

  test("that will not come is not waited for: the next may ask", async () => {
    const w = world({ call: () => failed("invalid") });
    await w.through(cached);
    expect(w.log).toContain("cache.release");
  });
});
