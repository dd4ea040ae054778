import type { SluiceEvents } from "@sluice/job";
import { beforeEach, describe, expect, test } from "vitest";
import { auditLogger, createLogger, logEvents } from "../src/index.ts";

const job = { id: "p.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3", tenant: "acme", pool: "p", lane: "bulk" };
const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 };
const failure = { kind: "throttled", errorClass: "ThrottlingException", message: "Too many tokens" } as const;

/** One of each; an event without an example does not compile. */
const examples: SluiceEvents = {
  "job:accepted": { ...job, repeated: false, bytes: 812 },
  "job:granted": { ...job, waitedMs: 40 },
  "job:completed": { ...job, waitedMs: 40, latencyMs: 900, usage, model: "m" },
  "job:filtered": { ...job, usage, model: "m", stopReason: "content_filtered" },
  "job:cache-hit": job,
  "job:cancelled": job,
  "job:started": { ...job, invocationArn: "arn:aws:bedrock:eu-west-1:111122223333:async-invoke/abc" },
  "job:fallback": { ...job, to: "other" },
  "job:retry": { ...job, failure, delayMs: 2_000, attempt: false },
  "job:deferred": { ...job, reason: "suspect", delayMs: 1_000 },
  "version:newer": { id: job.id, pool: "p", what: "data", version: 2, known: 1 },
  "job:dead": { ...job, failure, attempts: 3 },
  "job:recovered": job,
  "job:lock-lost": { id: job.id },
  "job:expired": { id: job.id },
  "dead-letter:stored": { id: job.id, errorClass: "ThrottlingException", kind: "throttled" },
  "dead-letter:blocked": { waiting: 7, error: "Error: no table" },
  "breaker:changed": { pool: "p", from: "closed", to: "open", untilMs: 5_000 },
  "quota:parked": { pool: "p", untilMs: 900_000, alone: true },
  "quota:short": { pool: "p", forMs: 7_200_000 },
  "quota:renewed": { pool: "p", lastedMs: 7_200_000 },
  "quota:doubtful": { pool: "p", dimension: "tokens", doubtful: true, ceiling: 0.3, perMinute: 180_000 },
  "operation:denied": { pool: "p", operation: "stream", denied: true, process: "worker" },
  "identity:lost": { scope: "main", errorClass: "ExpiredTokenException" },
  "identity:found": { scope: "main", afterMs: 45_000 },
  "way:lost": { scope: "main", errorClass: "ConnectionError" },
  "way:found": { scope: "main", afterMs: 45_000 },
  "pool:held": { pool: "p", untilMs: 30_000 },
  "pool:shut": { pool: "p", cause: "breaker", forMs: 5_000 },
  "pool:reopened": { pool: "p", cause: "breaker", lastedMs: 42_000 },
  "ceiling:cut": { pool: "p", dimension: "tokens", ceiling: 0.85, perMinute: 850 },
  "ceiling:restored": { pool: "p", dimension: "tokens", lowest: 0.6, lastedMs: 42_000 },
  "gate:shut": { scope: "main" },
  "gate:opened": { scope: "main", lastedMs: 42_000 },
  "slots:full": { pool: "p", lane: "bulk", slots: 8 },
  "slots:free": { pool: "p", lane: "bulk", lastedMs: 42_000 },
  "retries:exhausted": { pool: "p" },
  "retries:granted": { pool: "p", lastedMs: 42_000 },
  "limits:changed": { pool: "p", version: 2 },
  "quota:overridden": {
    pool: "p",
    by: "anna@desk",
    quotas: [{ quota: "tokensPerMinute", inForce: 500, declared: 2_000, far: true }],
  },
  "operator:acted": {
    pool: "p",
    id: "1",
    phase: "intent",
    by: "anna",
    from: "ops@desk",
    action: "breaker isolate",
  },
  "config:warning": { path: "pools.p.callTimeout", line: 7, message: "30 s cannot hold it" },
  "worker:error": { part: "gate", error: "Error: no Redis" },
  "lane:unserved": { pool: "p", lane: "l", unserved: true, jobs: 30 },
  "error:repeated": { errors: [{ part: "gate", error: "Error: no Redis", times: 70, lastedMs: 9_000 }] },
  "error:over": { errors: [{ part: "gate", error: "Error: no Redis", times: 90, lastedMs: 12_000 }] },
  "redis:trouble": { code: "evicts", problem: "This Redis evicts keys", ready: false },
  "redis:recovered": { code: "evicts", lastedMs: 12_000 },
  "redis:new": { keySpace: "sluice:{main}" },
  "redis:emptied": { keySpace: "sluice:{main}" },
  "redis:restarted": { keySpace: "sluice:{main}", since: 1_700_000_000_000 },
  "start:lacks": { need: "dead letter table", why: "ResourceNotFoundException" },
  "start:found": { need: "dead letter table", afterMs: 4_000 },
  "worker:started": { pools: ["p"], slots: 8 },
  "worker:stopped": { drained: true },
};
const names = Object.keys(examples).filter((name): name is keyof SluiceEvents => name in examples);
/** What every line has, beside the event. */
const OURS = ["level", "time", "pid", "name", "msg"];

let lines: string[];
const destination = { write: (line: string) => void lines.push(line) };
beforeEach(() => {
  lines = [];
});

function loggedLine(name: keyof SluiceEvents): Record<string, unknown> {
  const logger = createLogger({ name: "worker", level: "trace", destination });
  logEvents(logger)(name, examples[name]);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\{.*\}\n$/);
  const line: Record<string, unknown> = JSON.parse(lines[0] ?? "");
  return line;
}

describe("logEvents", () => {
  test.each(names)("writes %s as one JSON line with exactly its fields", (name) => {
    const { level, time, pid, name: program, msg, ...fields } = loggedLine(name);
    expect(fields).toEqual(examples[name]);
    expect({ program, msg, pid }).toEqual({ program: "worker", msg: name, pid: process.pid });
    expect(level).toMatch(/^(debug|info|warn|error)$/);
    expect(new Date(String(time)).toISOString()).toBe(time);
  });

  test.each(names)("%s has no field that would hide one of the logger's own", (name) => {
    expect(Object.keys(examples[name]).filter((field) => OURS.includes(field))).toEqual([]);
  });

  test.each(names)("%s has no field for a prompt or an answer", (name) => {
    const fields = JSON.stringify(examples[name]).matchAll(/"(\w+)":/g);
    const forTexts = ["prompt", "text", "messages", "content", "system", "answer", "payload", "data"];
    expect([...fields].map(([, field]) => field).filter((field) => forTexts.includes(field ?? ""))).toEqual(
      [],
    );
  });

  test("keeps a message of many lines on one", () => {
    const logger = createLogger({ name: "worker", destination });
    logEvents(logger)("worker:error", { part: "gate", error: 'Error: first\nsecond "quoted"' });
    expect(lines.join("").match(/\n/g)).toHaveLength(1);
  });

  test("is as loud as the event: routine below info, a death above it", () => {
    const logger = createLogger({ name: "worker", destination });
    const listen = logEvents(logger);
    listen("job:accepted", examples["job:accepted"]);
    listen("job:granted", examples["job:granted"]);
    expect(lines).toEqual([]);
    listen("job:dead", examples["job:dead"]);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "error" });
  });

  test("is quiet when told to be", () => {
    const logger = createLogger({ name: "worker", level: "silent", destination });
    logEvents(logger)("job:dead", examples["job:dead"]);
    expect(lines).toEqual([]);
  });

  test.each(["warn", "error", "silent"] as const)("records what people do at level %s too", (level) => {
    const logger = createLogger({ name: "worker", level, destination });
    logEvents(logger)("operator:acted", examples["operator:acted"]);
    auditLogger(logger).info({ user: "anna" }, "board:audit");
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["operator:acted", "board:audit"]);
  });
});
