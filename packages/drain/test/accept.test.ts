import { parseJobId, submissionSchema, type JobData, type Outcome } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { createAccept, type AcceptingPool } from "../src/index.ts";
import { NOW } from "./fakes.ts";

const parsed = submissionSchema.parse({ pool: "claude", lane: "bulk", prompt: "Say hello" });
if (parsed.kind !== "converse") throw new Error("Expected a job to be `converse` unless it says otherwise");
const submission = parsed;

function nested(levels: number): unknown {
  return Array.from({ length: levels }).reduce<unknown>((inner) => [inner], "deep");
}

type Claims = AcceptingPool["claims"];

function world(part: Partial<AcceptingPool> = {}, maxRequestBytes?: number) {
  const jobs = new Map<string, JobData>();
  const polled = new Set<string>();
  const adds: string[] = [];
  const claims = new Map<string, { id: string; request: string }>();
  const outcomes = new Map<string, Outcome>();
  const events: object[] = [];
  const pool: AcceptingPool = {
    lanes: ["critical", "bulk"],
    maxOutputTokens: 1_000,
    defaultMaxTokens: 100,
    deadlineMs: 60_000,
    maxAttempts: 3,
    asyncOutputs: [],
    cacheMs: null,
    reserve: () => ({ requests: 1, tokens: 120 }),
    tooCostly: () => undefined,
    claims: {
      async find({ tenant, key, timeless: request }): ReturnType<Claims["find"]> {
        const bound = claims.get(`${tenant} ${key}`);
        if (bound === undefined) return undefined;
        return { type: bound.request === JSON.stringify(request) ? "repeated" : "conflict", id: bound.id };
      },
      async claim({ tenant, key, timeless: request, id }): ReturnType<Claims["claim"]> {
        const bound = claims.get(`${tenant} ${key}`);
        if (bound === undefined) {
          claims.set(`${tenant} ${key}`, { id, request: JSON.stringify(request) });
          return { type: "new", id };
        }
        return { type: bound.request === JSON.stringify(request) ? "repeated" : "conflict", id: bound.id };
      },
    },
    outcomes: { get: async (id) => outcomes.get(id) },
    capacity: async () => ({ type: "free" }),
    lane: (name) => ({
      async add(job) {
        adds.push(`${name} ${job.id}`);
        if (!jobs.has(job.id)) jobs.set(job.id, job);
      },
      has: async (id) => jobs.has(id),
    }),
    polls: { has: async (id) => polled.has(id) },
    ...part,
  };
  const accept = createAccept({
    pools: new Map([["claude", pool]]),
    encodePayload: async (request) => ({ encoding: "json", json: JSON.stringify(request) }),
    emit: (name, event) => void events.push({ name, ...event }),
    clock: () => NOW,
    ...(maxRequestBytes === undefined ? {} : { maxRequestBytes }),
  });
  return { accept, jobs, polled, adds, claims, outcomes, events };
}

describe("an accepted job", () => {
  test("is added to its lane with its request and the pool's defaults", async () => {
    const w = world();
    const accepted = await w.accept("acme", submission);
    if (accepted.type !== "accepted") throw new Error(accepted.message);
    expect(accepted).toEqual({
      type: "accepted",
      id: accepted.id,
      repeated: false,
      deadlineAt: NOW + 60_000,
    });
    expect(parseJobId(accepted.id)).toMatchObject({ pool: "claude", lane: "bulk", acceptedAt: NOW });
    const request = { messages: [{ role: "user", content: [{ text: "Say hello" }] }], maxTokens: 100 };
    expect(w.jobs.get(accepted.id)).toEqual({
      version: 1,
      id: accepted.id,
      tenant: "acme",
      pool: "claude",
      lane: "bulk",
      kind: "converse",
      payload: { encoding: "json", json: JSON.stringify(request) },
      acceptedAt: NOW,
      deadlineAt: NOW + 60_000,
      maxAttempts: 3,
    });
    expect(w.adds).toEqual([`bulk ${accepted.id}`]);
    expect(w.events).toEqual([
      {
        name: "job:accepted",
        id: accepted.id,
        tenant: "acme",
        pool: "claude",
        lane: "bulk",
        repeated: false,
        bytes: JSON.stringify(request).length,
      },
    ]);
  });

  test("has what its producer asked for instead", async () => {
    const w = world();
    const own = { ...submission, maxTokens: 7, deadlineMs: 500, maxAttempts: 9 };
    expect(await w.accept("acme", own)).toMatchObject({ deadlineAt: NOW + 500 });
    const [job] = w.jobs.values();
    expect(job).toMatchObject({ maxAttempts: 9, deadlineAt: NOW + 500 });
    expect(JSON.stringify(job?.payload)).toContain('\\"maxTokens\\":7');
  });

  test.each([
    [{}, false],
    [{ stream: true }, true],
  ])("of kind invoke with %o says whether it streams", async (asked, stream) => {
    const w = world();
    const invocation = { body: { messages: [] }, maxTokens: 7 };
    const to = { pool: "claude", lane: "bulk", kind: "invoke" };
    await w.accept("acme", submissionSchema.parse({ ...to, ...invocation, ...asked }));
    const [job] = w.jobs.values();
    expect(job).toMatchObject({
      kind: "invoke",
      payload: { encoding: "json", json: JSON.stringify({ ...invocation, stream }) },
    });
  });
});

describe("a refused job", () => {
  const key = { ...submission, idempotencyKey: "k" };

  test.each([
    ["unknown-pool", {}, { ...key, pool: "gpt" }, "There is no pool 'gpt'. Pools: claude"],
    ["unknown-lane", {}, { ...key, lane: "fast" }, "Pool 'claude' has no lane 'fast'. Lanes: critical, bulk"],
    ["prompt-too-large", {}, { ...key, prompt: "ä".repeat(300) }, "more than the 500 allowed"],
    ["max-tokens-too-large", {}, { ...key, maxTokens: 1_001 }, "Expected `maxTokens` to be at most 1000"],
    [
      "cost-exceeds-quota",
      { tooCostly: () => "Expected a cost of at most 100 tokens" },
      key,
      "at most 100 tokens",
    ],
    [
      "lane-full",
      { capacity: async () => ({ type: "full", reason: "lane-length", retryAfterMs: 9_500 }) },
      key,
      "Lane 'bulk' holds as many jobs as it may. Try again in 10 s",
    ],
    [
      "redis-full",
      { capacity: async () => ({ type: "full", reason: "redis-memory", retryAfterMs: 5_000 }) },
      key,
      "Redis is short of memory. Try again in 5 s",
    ],
  ] satisfies [string, Partial<AcceptingPool>, typeof submission, string][])(
    "%s: says what is wrong, and nothing is written",
    async (code, part, refusable, message) => {
      const w = world(part, 500);
      const refusal = await w.accept("acme", refusable);
      expect(refusal).toMatchObject({
        type: "refused",
        code,
        message: expect.stringContaining(message) as unknown,
      });
      expect("retryAfterMs" in refusal).toBe(code.endsWith("-full"));
      expect([w.jobs.size, w.claims.size, w.adds.length, w.events.length]).toEqual([0, 0, 0, 0]);
    },
  );

  test.each([
    ["nested over 64 levels", nested(65), "at most 64 levels"],
    ["half of a character", "one \uD83D", "half of a surrogate pair"],
    ["a number that is none", Number.NaN, "one that is none"],
    ["a date", new Date(0), "an object of a class"],
  ])("unsafe-content: %s is refused before anything is written", async (_, inner, message) => {
    const w = world();
    const invoke = { kind: "invoke", pool: "claude", lane: "bulk", maxTokens: 10, stream: false } as const;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a producer without types may hand in
    const body = { inner } as Record<string, string>;
    expect(await w.accept("acme", { ...invoke, body })).toMatchObject({
      type: "refused",
      code: "unsafe-content",
      message: expect.stringContaining(message) as unknown,
    });
    expect([w.jobs.size, w.claims.size, w.adds.length, w.events.length]).toEqual([0, 0, 0, 0]);
  });

  test.each([
    ["a pool that names no place", [], "s3://answers/mine", "takes no `async` jobs"],
    [
      "a place beside the listed ones",
      ["s3://answers/mine"],
      "s3://answers/mine-too/x",
      "to be in one of s3://answers/mine",
    ],
    ["another bucket", ["s3://answers"], "s3://answers.evil/x", "to be in one of s3://answers"],
  ])("output-not-allowed: %s", async (_, asyncOutputs, outputS3Uri, message) => {
    const w = world({ asyncOutputs });
    const start = { kind: "async", pool: "claude", lane: "bulk", modelInput: {}, outputS3Uri } as const;
    expect(await w.accept("acme", start)).toMatchObject({
      type: "refused",
      code: "output-not-allowed",
      message: expect.stringContaining(message) as unknown,
    });
    expect([w.jobs.size, w.claims.size, w.adds.length, w.events.length]).toEqual([0, 0, 0, 0]);
  });

  test("an answer may go to a listed place and below it", async () => {
    const w = world({ asyncOutputs: ["s3://answers/mine/"] });
    for (const outputS3Uri of ["s3://answers/mine", "s3://answers/mine/2026/"]) {
      const start = { kind: "async", pool: "claude", lane: "bulk", modelInput: {}, outputS3Uri } as const;
      expect(await w.accept("acme", start)).toMatchObject({ type: "accepted" });
    }
  });

  test("idempotency-conflict: does not name the job that has the key, and nothing is written", async () => {
    const w = world();
    const first = await w.accept("acme", key);
    const second = await w.accept("acme", { ...key, prompt: "Something else" });
    expect(second).toMatchObject({ type: "refused", code: "idempotency-conflict" });
    expect(JSON.stringify(second)).not.toContain("id" in first ? first.id : "?");
    expect(w.jobs.size).toBe(1);
    expect(w.events).toHaveLength(1);
  });
});

describe("room for a job", () => {
  test("is asked for its request and the longest answer, and is its own until it is in its lane", async () => {
    const steps: string[] = [];
    const asked: object[] = [];
    const w = world({
      capacity: async (_lane, room) => {
        asked.push(room);
        return { type: "free", written: () => steps.push("written") };
      },
      lane: () => ({
        add: async () => {
          steps.push("added");
          throw new Error("Command timed out");
        },
        has: async () => false,
      }),
    });
    await expect(w.accept("acme", submission)).rejects.toThrow("timed out");
    expect(steps).toEqual(["added", "written"]);
    const streamed = { ...submission, kind: "stream" as const, maxTokens: 1_000 };
    await expect(w.accept("acme", streamed)).rejects.toThrow("timed out");
    expect(asked).toMatchObject([{ answerBytes: 1_024 + 400 }, { answerBytes: 1_024 + 8_000 }]);
  });
});

describe("a repeated job", () => {
  const key = { ...submission, idempotencyKey: "k" };

  test("is the first one, and says so", async () => {
    const w = world();
    const first = await w.accept("acme", key);
    expect(await w.accept("acme", key)).toEqual({ ...first, repeated: true });
    expect(w.jobs.size).toBe(1);
    expect(w.events).toMatchObject([{ repeated: false }, { repeated: true }]);
  });

  test("is the same one when its times were reckoned anew, and no other one", async () => {
    const w = world();
    const timed = { ...key, runAt: "2027-01-15T08:00:10Z", deadlineMs: 60_000 };
    const first = await w.accept("acme", timed);
    for (const again of [
      { ...timed, runAt: "2027-01-15T08:00:11Z" },
      { ...timed, deadlineMs: 59_000 },
      { ...key, delayMs: 5_000 },
      key,
    ]) {
      expect(await w.accept("acme", again)).toMatchObject({
        type: "accepted",
        repeated: true,
        id: "id" in first ? first.id : "?",
      });
    }
    expect(w.jobs.size).toBe(1);
    expect(await w.accept("acme", { ...timed, maxTokens: 5 })).toMatchObject({
      code: "idempotency-conflict",
    });
  });

  test("whose first caller died before adding it is added now", async () => {
    const w = world();
    const first = await w.accept("acme", key);
    w.jobs.clear();
    await w.accept("acme", key);
    expect([...w.jobs.keys()]).toEqual(["id" in first ? first.id : "?"]);
  });

  test("that has ended is not added again, though its lane forgot it", async () => {
    const w = world();
    const first = await w.accept("acme", key);
    if (first.type !== "accepted") throw new Error(first.message);
    const { id } = first;
    const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" } as const;
    w.outcomes.set(id, {
      outcome: "dead",
      id,
      tenant: "acme",
      acceptedAt: 1,
      endedAt: 2,
      attempts: 1,
      failure,
    });
    w.jobs.clear();
    expect(await w.accept("acme", key)).toMatchObject({ type: "accepted", id, repeated: true });
    expect(w.jobs.size).toBe(0);
  });

  test("that Bedrock works on is not added again, though its lane forgot it", async () => {
    const w = world();
    const first = await w.accept("acme", key);
    if (first.type !== "accepted") throw new Error(first.message);
    w.jobs.clear();
    w.polled.add(first.id);
    expect(await w.accept("acme", key)).toMatchObject({ type: "accepted", id: first.id, repeated: true });
    expect(w.jobs.size).toBe(0);
  });

  test("of another tenant is a job of its own", async () => {
    const w = world();
    const [first, second] = [await w.accept("acme", key), await w.accept("globex", key)];
    expect(second).toMatchObject({ repeated: false });
    expect("id" in second && second.id).not.toBe("id" in first && first.id);
  });

  test("without a key is a second job", async () => {
    const w = world();
    await w.accept("acme", submission);
    await w.accept("acme", submission);
    expect(w.jobs.size).toBe(2);
  });
});
