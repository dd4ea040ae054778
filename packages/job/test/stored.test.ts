/** What is read back from Redis: written by another worker, perhaps of another version. */
import { describe, expect, test } from "vitest";
import { LAST_ID, lastJob } from "../../redis/test/stored.ts";
import {
  failureSchema,
  jobDataSchema,
  NewerVersionError,
  invocationOf,
  notesOf,
  OWN_FAILURES,
  outcomeSchema,
  parseJobData,
  readJobData,
  readNotes,
  versionOf,
  writeInvocation,
} from "../src/index.ts";

const data = {
  version: 1,
  id: "p.l.01j9z3n4q5r6s7t8v9w0x1y2z3",
  tenant: "acme",
  pool: "p",
  lane: "l",
  kind: "converse",
  payload: { encoding: "json", json: "{}" },
  acceptedAt: 1,
  deadlineAt: 2,
  maxAttempts: 3,
};
const usage = { inputTokens: 10, outputTokens: 5 };
const answer = { text: "Hi", stopReason: "end_turn", model: "m", usage, latencyMs: 12 };
const ended = { id: data.id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };

describe("job data", () => {
  test("is read as it was written", () => {
    expect(jobDataSchema.parse(data)).toEqual(data);
  });

  test.each([
    ["another version", { version: 2 }],
    ["no version", { version: undefined }],
    ["an unknown encoding", { payload: { encoding: "zstd", base64: "" } }],
    ["damaged base64", { payload: { encoding: "gzip", base64: "%%%" } }],
    ["a tenant that is no name", { tenant: "Acme Inc" }],
    ["no attempts", { maxAttempts: 0 }],
  ])("is refused with %s", (_what, part) => {
    expect(jobDataSchema.safeParse({ ...data, ...part }).success).toBe(false);
  });
});

test("what the version before has stored of a job is read", () => {
  expect(readJobData(JSON.parse(lastJob.data))).toMatchObject({
    type: "known",
    data: { id: LAST_ID, cacheMs: 60_000, promptClass: "greeting", maxAttempts: 5 },
  });
  expect(notesOf(lastJob.notes)).toMatchObject({ failures: 2, last: { errorClass: "ThrottlingException" } });
});

describe("job data of later programs", () => {
  test("of this version keeps the fields that they have added, at every depth it is written again from", () => {
    const added = { ...data, budget: 1, invocation: { arn: "a", startedAt: 1, region: "x" } };
    expect(jobDataSchema.parse(added)).toEqual(added);
    expect(readJobData(added)).toEqual({ type: "known", data: added });
  });

  test("of a newer version tells whose it is and until when, and nothing else", () => {
    const { kind: _, payload: __, maxAttempts: ___, version: ____, ...envelope } = data;
    const newer = { ...data, version: 3, payload: "?", kind: 7, secret: "s" };
    expect(readJobData(newer)).toEqual({ type: "newer", version: 3, envelope });
    expect(() => parseJobData(newer)).toThrow(NewerVersionError);
  });

  test.each([
    ["without its envelope", { version: 2, tenant: undefined }],
    ["of no version", { version: "2" }],
    ["of a version before the first", { version: 0 }],
  ])("%s is malformed", (_what, part) => {
    expect(readJobData({ ...data, ...part })).toEqual({ type: "malformed" });
    expect(() => parseJobData({ ...data, ...part })).toThrow("invalid");
  });

  test.each([undefined, null, "text", 5, [], { version: "x" }, {}])(
    "%j counts as the first version",
    (record) => {
      expect(versionOf(record)).toBe(1);
    },
  );
});

describe("notes", () => {
  test("of a newer version are not gone by, but what they say of the last failure may be told", () => {
    const last = { kind: "transient", errorClass: "InternalServerException", message: "no" };
    const newer = JSON.stringify({ version: 2, failures: 4, last });
    expect(() => notesOf(newer)).toThrow(NewerVersionError);
    expect(readNotes(newer)).toMatchObject({ failures: 4, last });
  });
});

describe("an outcome", () => {
  test("of an answered job carries the answer; cache tokens default to none", () => {
    expect(outcomeSchema.parse({ ...ended, outcome: "completed", answer })).toEqual({
      ...ended,
      outcome: "completed",
      answer: { ...answer, usage: { ...usage, cacheReadTokens: 0, cacheWriteTokens: 0 } },
    });
    expect(outcomeSchema.safeParse({ ...ended, outcome: "filtered" }).success).toBe(false);
  });

  test("of a dead job carries the failure", () => {
    const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" };
    expect(outcomeSchema.safeParse({ ...ended, outcome: "dead", failure }).success).toBe(true);
    expect(outcomeSchema.safeParse({ ...ended, outcome: "dead", answer }).success).toBe(false);
  });
});

describe("a failure", () => {
  test.each(Object.values(OWN_FAILURES))("may be of Sluice's own class $errorClass", ({ errorClass }) => {
    expect(failureSchema.safeParse({ kind: "terminal", errorClass, message: "" }).success).toBe(true);
  });

  test.each(["", "Not A Class", "a:b", "x".repeat(65)])("may not be of class %j", (errorClass) => {
    expect(failureSchema.safeParse({ kind: "terminal", errorClass, message: "" }).success).toBe(false);
  });
});

test("a started call is read as it was written, and one of a newer version by nobody here", () => {
  const invocation = { arn: "arn:aws:bedrock:async-invoke/abc", startedAt: 1_800_000_000_000 };
  const stored = writeInvocation(invocation);
  expect(invocationOf(stored)).toEqual(invocation);
  const more = { ...JSON.parse(stored), added: true };
  expect(invocationOf(JSON.stringify(more))).toEqual(invocation);
  expect(() => invocationOf(JSON.stringify({ ...more, version: 2 }))).toThrow(NewerVersionError);
  for (const none of [null, "", "{", "{}", '{"arn":1}']) expect(invocationOf(none)).toBeUndefined();
});
