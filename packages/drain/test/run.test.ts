/** From the start of the call to the end of the job. */
import { describe, expect, test } from "vitest";
import type { DrainOptions } from "../src/candidate.ts";
import { answer, answered, failed, newData, NOW, usage, world } from "./fakes.ts";

describe("an answered job", () => {
  test("is stored, then settled, then completed: a crash in between costs no second call", async () => {
    const w = world();
    const data = newData();
    const left = await w.through(data, { attemptsMade: 1 });
    expect(w.log).toEqual([
      "gate.admit",
      "ledger.begin",
      "model.call",
      "outcomes.put completed",
      "gate.settle ok",
      "model.learn",
      "job.complete",
    ]);
    expect(left).toEqual({
      how: "completed",
      reference: { outcome: "completed", model: "model-1", inputTokens: 100, outputTokens: 20 },
    });
    expect(w.outcomes.get(data.id)).toEqual({
      outcome: "completed",
      id: data.id,
      tenant: "acme",
      acceptedAt: data.acceptedAt,
      endedAt: NOW,
      attempts: 2,
      answer,
    });
    expect(w.settlements).toEqual([
      { pool: "pool", id: `${data.id}/1/pool`, outcome: "ok", actual: { requests: 1, tokens: 120 } },
    ]);
    expect(w.event("job:completed")).toMatchObject({ id: data.id, latencyMs: 30, usage, waitedMs: 970 });
  });

  test("that a content filter stopped is filtered, and paid", async () => {
    const w = world({ call: () => ({ type: "filtered", answer }) });
    const data = newData();
    expect(await w.through(data)).toMatchObject({ how: "completed", reference: { outcome: "filtered" } });
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "filtered" });
    expect(w.settlements).toMatchObject([{ outcome: "ok", actual: { tokens: 120 } }]);
    expect(w.event("job:filtered")).toMatchObject({ stopReason: "end_turn" });
  });

  test("is held until its result can be stored", async () => {
    const w = world({
      putOutcome: (puts) => {
        if (puts < 3) throw new Error("Connection is closed");
      },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.log.slice(2)).toEqual([
      "model.call",
      "outcomes.put completed",
      "outcomes.put completed",
      "outcomes.put completed",
      "gate.settle ok",
      "model.learn",
      "job.complete",
    ]);
    expect(w.events.filter(({ name }) => name === "worker:error")).toHaveLength(2);
  });

  test("whose result cannot be stored before the process ends is not completed: it comes back", async () => {
    const w = world({
      putOutcome: () => {
        w.abort.abort();
        throw new Error("Connection is closed");
      },
    });
    await expect(w.through(newData())).rejects.toThrow("Connection is closed");
    expect(w.log).not.toContain("job.complete");
  });

  test("settles as soon as the gate answers again", async () => {
    const w = world({
      settle: (settles) => {
        if (settles === 1) throw new Error("Connection is closed");
        return {};
      },
    });
    expect(await w.through(newData())).toMatchObject({ how: "completed" });
    expect(w.settlements).toHaveLength(1);
  });
});

describe("a stream", () => {
  const conversation = { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 50 };
  const invocation = { body: { messages: [] }, maxTokens: 70 };

  test.each([
    ["stream", conversation, 50],
    ["invoke", { ...invocation, stream: true }, 70],
  ] as const)("of kind %s is readable while it is written", async (kind, request, maxTokens) => {
    const opened: unknown[] = [];
    const written: string[] = [];
    const chunks: DrainOptions["chunks"] = {
      open: (of) => {
        opened.push(of);
        return {
          write: (text) => void written.push(text),
          end: async (how) => void written.push(how),
          leave: async () => {},
        };
      },
    };
    const w = world({
      call: ({ onText }) => {
        onText("Hello");
        return answered;
      },
      options: { chunks },
    });
    const data = newData({ kind, payload: { encoding: "json", json: JSON.stringify(request) } });
    expect(await w.through(data)).toMatchObject({ how: "completed" });
    expect(opened).toEqual([{ id: data.id, call: 1, maxTokens }]);
    expect(written).toEqual(["Hello", "completed"]);
  });

  test.each([
    ["converse", conversation],
    ["invoke", invocation],
  ] as const)("is nothing that a job of kind %s opens unasked", async (kind, request) => {
    const w = world();
    const data = newData({ kind, payload: { encoding: "json", json: JSON.stringify(request) } });
    expect(await w.through(data)).toMatchObject({ how: "completed" });
    expect(w.log).not.toContain("chunks.end completed");
  });
});

describe("an answer that came second", () => {
  test("does not undo a cancellation that was stored first", async () => {
    const w = world({ putOutcome: () => void w.outcomes.set(data.id, { ...ended, outcome: "cancelled" }) });
    const data = newData();
    const ended = { id: data.id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
    expect(await w.through(data)).toEqual({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.event("job:cancelled")).toMatchObject({ id: data.id });
  });

  test("does not call a job cancelled that another run of it has completed", async () => {
    const w = world({
      putOutcome: () => void w.outcomes.set(data.id, { ...ended, outcome: "completed", answer }),
    });
    const data = newData();
    const ended = { id: data.id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
    expect(await w.through(data)).toMatchObject({ how: "completed", reference: { outcome: "completed" } });
    expect(w.event("job:cancelled")).toBeUndefined();
  });
});

describe("a failed call", () => {
  test.each([
    ["transient", { how: "deferred", deferral: { attempt: true } }],
    ["throttled", { how: "deferred", deferral: { attempt: false } }],
    ["systemic", { how: "deferred", deferral: { attempt: false } }],
    ["terminal", { how: "failed" }],
  ] as const)("of kind %s", async (kind, left) => {
    const w = world({ call: () => failed({ kind }) });
    expect(await w.through(newData())).toMatchObject(left);
    expect(w.event(kind === "terminal" ? "job:dead" : "job:retry")).toMatchObject({ failure: { kind } });
    expect(w.outcomes.size).toBe(0);
  });

  test("says why in the deferral, for operators", async () => {
    const w = world({
      call: () => failed({ errorClass: "ThrottlingException", message: "Too many tokens" }),
    });
    expect(await w.through(newData())).toMatchObject({
      deferral: { reason: "ThrottlingException: Too many tokens" },
    });
  });

  test("that used the last attempt is the job's end", async () => {
    const w = world({ call: () => failed() });
    expect(await w.through(newData({ maxAttempts: 3 }), { attemptsMade: 2 })).toMatchObject({
      how: "failed",
    });
    expect(w.event("job:dead")).toMatchObject({ attempts: 3 });
  });

  test("by credentials puts the job off, and counts how often", async () => {
    const notes = { systemicDeferrals: 2, entry: 0 };
    const w = world({ call: () => failed({ kind: "systemic" }), notes });
    expect(await w.through(newData(), { attemptsStarted: 3 })).toMatchObject({
      deferral: { attempt: false, notes: { systemicDeferrals: 3 } },
    });
    const last = world({
      call: () => failed({ kind: "systemic" }),
      notes: { ...notes, systemicDeferrals: 3 },
    });
    expect(await last.through(newData(), { attemptsStarted: 4 })).toMatchObject({ how: "failed" });
  });

  test.each([
    ["nothing was sent", "nothing", 0, 0],
    ["a request was counted", "request", 1, 0],
    // What the model says that an unfinished call costs.
    ["it may have been billed", "estimate", undefined, undefined],
  ] as const)("is charged for what it cost: %s", async (_what, billed, requests, tokens) => {
    const w = world({ call: () => failed({}, { billed }) });
    await w.through(newData());
    const { requests: chargedRequests, ...chargedTokens } = w.settlements[0]?.actual ?? {};
    expect(chargedRequests).toBe(requests);
    expect(new Set(Object.values(chargedTokens))).toEqual(new Set(tokens === undefined ? [] : [tokens]));
    expect(w.log).toContain(billed === "estimate" ? "ledger.end" : "ledger.abandon");
  });

  test.each([
    ["a quota", failed({ kind: "throttled", dimension: "tokens" }), "throttled", "tokens"],
    ["an unnamed quota", failed({ kind: "throttled", dimension: "unknown" }), "throttled", undefined],
    [
      "an overloaded model",
      failed({ kind: "throttled", dimension: "capacity" }, { breaker: true }),
      "failed",
      undefined,
    ],
    ["a failing pool", failed({}, { breaker: true }), "failed", undefined],
    ["this prompt only", failed({ kind: "terminal" }), "neutral", undefined],
  ] as const)("tells the gate when it was %s", async (_what, result, outcome, throttledDimension) => {
    const w = world({ call: () => result });
    await w.through(newData());
    expect(w.settlements[0]).toMatchObject({ outcome });
    expect(w.settlements[0]?.throttledDimension).toBe(throttledDimension);
  });
});
