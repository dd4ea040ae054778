/** Everything that is decided about a job before it asks for quota. */
import { describe, expect, test } from "vitest";
import { answer, answered, failed, NOW, newData, usage, world } from "./fakes.ts";

describe("a job is dead at once", () => {
  test.each([
    ["nothing", undefined],
    ["text", "job"],
    ["data of another version", { ...newData(), version: 2 }],
    ["data without a tenant", { ...newData(), tenant: undefined }],
  ])("when it carries %s", async (_what, data) => {
    const w = world();
    expect(await w.through(data)).toMatchObject({
      how: "failed",
      failure: { kind: "terminal", errorClass: "MalformedJob" },
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
    const w = world({ ledger: () => ({ type: "go", call: 5, lost: 4 }) });
    expect(await w.through(newData())).toMatchObject({
      failure: {
        kind: "terminal",
        errorClass: "StalledTooOften",
        message: "Its worker vanished under it 4 times",
      },
    });
    const once = world({ ledger: () => ({ type: "go", call: 4, lost: 3 }) });
    expect(await once.through(newData())).toMatchObject({ how: "completed" });
  });

  test("when its worker vanished under it before its call, far more often than others' crashes explain", async () => {
    const w = world();
    expect(await w.through(newData(), { stalls: 21 })).toMatchObject({
      failure: { errorClass: "StalledTooOften", message: "Its worker vanished under it 21 times" },
    });
    expect(await w.through(newData(), { stalls: 20 })).toMatchObject({ how: "completed" });
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

  test("while another one that has stalled twice runs here, so that a killer takes no neighbour with it", async () => {
    const call = Promise.withResolvers<undefined>();
    const w = world({
      call: async (_call, calls) => {
        if (calls === 1) await call.promise;
        return answered;
      },
    });
    const suspect = w.through(newData(), { stalls: 2 });
    await expect.poll(() => w.log).toContain("model.call");
    const other = newData();
    expect(await w.through(other, { stalls: 2 })).toEqual({
      how: "deferred",
      deferral: { delayMs: 1_500, attempt: false },
    });
    expect(w.event("job:deferred")).toMatchObject({ reason: "suspect", id: other.id });
    // Once is no suspicion: a crash sends everything back that was in flight.
    expect(await w.through(newData(), { stalls: 1 })).toMatchObject({ how: "completed" });
    call.resolve(undefined);
    await suspect;
    expect(await w.through(other, { stalls: 2 })).toMatchObject({ how: "completed" });
  });

  test("also when two such jobs waited at the gate together", async () => {
    const grant = Promise.withResolvers<undefined>();
    const call = Promise.withResolvers<undefined>();
    let inFlight = 0;
    const w = world({
      admit: async () => {
        await grant.promise;
        return { type: "granted", waitMs: 0 };
      },
      call: async () => {
        inFlight += 1;
        await call.promise;
        return answered;
      },
    });
    // One per lane of the pool.
    const both = [newData({ lane: "bulk" }), newData({ lane: "critical" })].map(async (data) =>
      w.through(data, { stalls: 2 }),
    );
    await expect.poll(() => w.admitted.length).toBeGreaterThan(0);
    grant.resolve(undefined);
    expect(await Promise.race(both)).toMatchObject({ how: "deferred", deferral: { attempt: false } });
    await expect.poll(() => inFlight).toBe(1);
    call.resolve(undefined);
    const lefts = await Promise.all(both);
    expect(new Set(lefts.map((left) => left?.how))).toEqual(new Set(["completed", "deferred"]));
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
