/** From the start of the call to the end of the job. */
import { NO_NOTES, type Outcome } from "@sluice/job";
import { describe, expect, test } from "vitest";
import type { DrainOptions } from "../src/candidate.ts";
import { answer, answered, failed, newData, NOW, othersAnswered, usage, world } from "./fakes.ts";

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
      reservation: `${data.id}/1/pool`,
    });
    expect(w.settlements).toEqual([
      {
        pool: "pool",
        id: `${data.id}/1/pool`,
        outcome: "ok",
        actual: { requests: 1, tokens: 120 },
        operation: "converse",
      },
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

  test("whose usage was not reported says so, and teaches nothing", async () => {
    const w = world({ call: () => ({ type: "answered", answer, usageEstimated: true }) });
    const data = newData();
    await w.through(data);
    expect(w.outcomes.get(data.id)).toMatchObject({ answer: { usage, usageEstimated: true } });
    expect(w.log).not.toContain("model.learn");
    // One that was reported says nothing of it.
    const reported = newData();
    const other = world();
    await other.through(reported);
    expect(other.outcomes.get(reported.id)).not.toHaveProperty("answer.usageEstimated");
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
          replace: () => {},
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

  test("that a content filter stopped leaves none of the model's words where the pool has its own", async () => {
    const filteredMessage = "Not like this";
    const body = [{ generation: "Words" }];
    const w = world({
      call: () => ({ type: "filtered", answer: { ...answer, text: "Words", body } }),
      options: { filteredMessage },
    });
    const data = newData({
      kind: "stream",
      payload: { encoding: "json", json: JSON.stringify(conversation) },
    });
    await w.through(data);
    const outcome = w.outcomes.get(data.id);
    expect(outcome).toMatchObject({ outcome: "filtered", answer: { text: filteredMessage } });
    expect(JSON.stringify(outcome)).not.toContain("Words");
    const steps = [
      "model.call",
      `chunks.replace ${filteredMessage}`,
      "outcomes.put filtered",
      "chunks.end incomplete",
    ];
    expect(w.log.filter((step) => steps.includes(step))).toEqual(steps);
  });

  test.each([
    ["cancelled", "failed"],
    ["dead", "failed"],
    ["filtered", "incomplete"],
    // By a run that had lost its lock: the text that was streamed here is not the job's answer.
    ["completed", "incomplete"],
  ] as const)("of a job that had ended %s meanwhile ends as %s", async (outcome, end) => {
    const data = newData({
      kind: "stream",
      payload: { encoding: "json", json: JSON.stringify(conversation) },
    });
    const ended = { id: data.id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
    const failure = { kind: "terminal", errorClass: "StalledTooOften", message: "" } as const;
    const w = world({
      putOutcome: (puts) => {
        if (puts > 1) return;
        const first = { cancelled: {}, dead: { failure }, filtered: { answer }, completed: { answer } };
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each has what its end has
        w.outcomes.set(data.id, { ...ended, outcome, ...first[outcome] } as Outcome);
      },
    });
    await w.through(data);
    expect(w.log.filter((entry) => entry.startsWith("chunks.end"))).toEqual([`chunks.end ${end}`]);
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

const settle = () => othersAnswered;

describe("a failed call", () => {
  test.each([
    ["transient", "internal", { how: "deferred", deferral: { attempt: true } }],
    ["throttled", "tokensThrottled", { how: "deferred", deferral: { attempt: false } }],
    ["systemic", "badCredentials", { how: "deferred", deferral: { attempt: false } }],
    ["terminal", "invalid", { how: "failed" }],
  ] as const)("of kind %s", async (kind, rule, left) => {
    const w = world({ call: () => failed(rule), settle });
    expect(await w.through(newData())).toMatchObject(left);
    expect(w.event(kind === "terminal" ? "job:dead" : "job:retry")).toMatchObject({ failure: { kind } });
    expect(w.outcomes.size).toBe(0);
  });

  test("says why in the deferral, for operators", async () => {
    const w = world({ call: () => failed("tokensThrottled", { message: "Too many tokens" }) });
    expect(await w.through(newData())).toMatchObject({
      deferral: { reason: "ThrottlingException: Too many tokens" },
    });
  });

  test("that used the last attempt is the job's end", async () => {
    const w = world({ call: () => failed(), settle });
    expect(await w.through(newData({ maxAttempts: 3 }), { attemptsMade: 2 })).toMatchObject({
      how: "failed",
    });
    expect(w.event("job:dead")).toMatchObject({ attempts: 3 });
  });

  test("while the pool answers nobody costs no attempt, and no call that may have been paid", async () => {
    const w = world({ call: () => failed("timeout"), settle: () => ({}) });
    expect(await w.through(newData({ maxAttempts: 3 }), { attemptsMade: 2 })).toMatchObject({
      deferral: { attempt: false },
    });
    expect(w.log).toContain("ledger.abandon");
  });

  test("leaves notes for the next", async () => {
    const notes = { ...NO_NOTES, failures: 2, throttles: 1 };
    const w = world({ call: () => failed("tokensThrottled"), notes });
    expect(await w.through(newData(), { attemptsStarted: 3 })).toMatchObject({
      deferral: {
        notes: { failures: 3, throttles: 2, failedAt: NOW, last: { errorClass: "ThrottlingException" } },
      },
    });
  });

  test.each([
    ["nothing was sent", "nothing", 0, 0],
    ["a request was counted", "request", 1, 0],
    // What the model says that an unfinished call costs.
    ["it may have been billed", "estimate", undefined, undefined],
  ] as const)("is charged for what it cost: %s", async (_what, charge, requests, tokens) => {
    const w = world({ call: () => failed("internal", {}, { charge }), settle });
    await w.through(newData());
    const { requests: chargedRequests, ...chargedTokens } = w.settlements[0]?.actual ?? {};
    expect(chargedRequests).toBe(requests);
    expect(new Set(Object.values(chargedTokens))).toEqual(new Set(tokens === undefined ? [] : [tokens]));
    expect(w.log).toContain(charge === "estimate" ? "ledger.end" : "ledger.abandon");
  });

  test.each([
    ["a quota", "tokensThrottled", { outcome: "throttled", throttledDimension: "tokens" }],
    ["an unnamed quota", "throttled", { outcome: "throttled" }],
    ["an overloaded model", "overloaded", { outcome: "failed", weight: 1 }],
    ["a failing pool", "unavailable", { outcome: "failed", weight: 1 }],
    ["silence, perhaps of one prompt", "modelTimeout", { outcome: "timeout", weight: 0.5 }],
    ["what may not be called", "accessDenied", { outcome: "systemic", operation: "converse" }],
    ["the credentials of this process", "badCredentials", { outcome: "neutral" }],
    ["this prompt only", "invalid", { outcome: "neutral" }],
  ] as const)("tells the gate when it was %s", async (_what, rule, told) => {
    const w = world({ call: () => failed(rule) });
    await w.through(newData());
    expect(w.settlements[0]).toMatchObject(told);
    expect("throttledDimension" in (w.settlements[0] ?? {})).toBe("throttledDimension" in told);
  });

  test("hands the server's own hint on, to hold everybody", async () => {
    const w = world({ call: () => failed("tokensThrottled", { retryAfterMs: 7_000 }) });
    await w.through(newData());
    expect(w.settlements[0]).toMatchObject({ outcome: "throttled", holdMs: 7_000 });
  });

  test.each(["quotaExceeded", "modelNotReady"] as const)("hands it on when it was %s", async (rule) => {
    const w = world({ call: () => failed(rule, { retryAfterMs: 7_000 }) });
    await w.through(newData());
    expect(w.settlements[0]).toMatchObject({ outcome: "neutral", holdMs: 7_000 });
  });

  test("that its process slept through says nothing about the pool", async () => {
    const w = world({ call: () => failed("timeout", {}, { stood: true }), settle });
    expect(await w.through(newData())).toMatchObject({ deferral: { attempt: false } });
    expect(w.settlements[0]).toMatchObject({ outcome: "neutral" });
  });
});
