/** The checker finds what it is there to find: one case for every kind of trouble. */
import type { Outcome } from "@sluice/job";
import { expect, test } from "vitest";
import { check, type CheckedJob } from "../src/check.ts";
import type { SeenCall } from "../src/evidence.ts";
import type { Found } from "../src/records.ts";

const USAGE = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 };
const ended = { id: "job", tenant: "default", acceptedAt: 0, endedAt: 1, attempts: 1 };
const answer = { text: "x", stopReason: "end_turn", model: "m", usage: USAGE, latencyMs: 1 };
const failure = { kind: "terminal", errorClass: "ValidationException", message: "" } as const;

const completed: Outcome = { ...ended, outcome: "completed", answer };
const dead: Outcome = { ...ended, outcome: "dead", failure };

function found(over: Partial<Found>): Found {
  return { outcome: undefined, lane: undefined, polls: undefined, letter: undefined, ...over };
}

function call(outcome: SeenCall["outcome"], over: Partial<SeenCall> = {}): SeenCall {
  const times = { startedAt: 0, endedAt: 1, inputTokens: 10, outputTokens: 5 };
  const quota = { admitted: true, settledTokens: 15 };
  const rest = { seq: 1, operation: "Converse", model: "m", attempt: 1, fault: null, requestMetadata: null };
  return { ...times, ...quota, ...rest, outcome, ...over };
}

function job(over: Partial<CheckedJob>): CheckedJob {
  return { id: "job", found: found({ outcome: completed }), calls: [call("completed")], granted: 1, ...over };
}

const buried = found({ outcome: dead, letter: "dead" });
const refused = [call("error", { fault: "ValidationException" })];
const started = call("completed", { operation: "StartAsyncInvoke" });

test.each<[string, Partial<CheckedJob>]>([
  ["an answer", {}],
  ["a retry that was answered", { calls: [call("throttled"), call("completed")], granted: 2 }],
  ["a dead letter", { found: buried, calls: refused }],
  ["a job that waits", { found: found({ lane: "delayed" }), calls: [call("throttled")] }],
  ["a dead job before it was moved", { found: found({ lane: "failed" }), calls: refused }],
  [
    "an async job that is polled",
    { found: found({ lane: "completed", polls: "delayed" }), calls: [started] },
  ],
  ["an async job that was answered", { calls: [started], invocation: "Completed" }],
  ["an async job that failed", { found: buried, calls: [started], invocation: "Failed" }],
  [
    "an answer that a crash made anew",
    { calls: [call("completed"), call("completed")], granted: 2, expected: { unheard: 1 } },
  ],
  ["an end as expected", { found: buried, calls: refused, expected: { errorClass: failure.errorClass } }],
])("nothing is wrong with %s", (_, over) => {
  expect(check([job(over)], 0)).toMatchObject({ lost: 0, disagreements: 0, problems: [] });
});

test.each<[string, Partial<CheckedJob>, RegExp]>([
  ["ended and waits", { found: found({ outcome: completed, lane: "active" }) }, /still in its lane/],
  ["ended twice", { found: found({ outcome: completed, letter: "dead" }) }, /its dead letter is dead/],
  ["dead without a letter", { found: found({ outcome: dead }), calls: refused }, /its dead letter is none/],
  ["ended otherwise", { expected: { end: "dead" } }, /completed, expected dead/],
  [
    "dead of something else",
    { found: buried, calls: refused, expected: { errorClass: "Other" } },
    /dead by ValidationException, expected Other/,
  ],
  ["completed, never answered", { calls: [call("error")] }, /the simulator saw no answer/],
  ["completed, filtered there", { calls: [call("filtered")] }, /the simulator saw filtered/],
  ["answered and dead", { found: buried }, /answered more often/],
  ["answered twice", { calls: [call("completed"), call("completed")], granted: 2 }, /answered more often/],
  ["other tokens", { calls: [call("completed", { outputTokens: 6 })] }, /10 in, 5 out, .* 10 in, 6 out/],
  ["a call nobody saw", { granted: 2 }, /we started 2 calls, the simulator saw 1/],
  ["too many calls", { expected: { calls: [2, 2] } }, /expected 2 to 2 calls/],
  ["a retry of the SDK", { calls: [call("completed", { attempt: 2 })] }, /the SDK repeated/],
  ["an async job without an end", { calls: [started], invocation: "InProgress" }, /saw no answer/],
])("finds a job that %s", (_, over, problem) => {
  const report = check([job({}), job(over)], 0);
  expect(report).toMatchObject({ jobs: 2, lost: 0, disagreements: 1 });
  expect(report.problems.join("\n")).toMatch(problem);
});

test("a job that is nowhere, or completed without an outcome, is lost", () => {
  const jobs = [job({ found: found({}) }), job({ found: found({ lane: "completed" }) })];
  expect(check(jobs, 0)).toMatchObject({ lost: 2, disagreements: 0 });
});

test("counts ends and calls, and calls of nobody", () => {
  const jobs = [job({}), job({ found: buried, calls: [call("error"), call("error")], granted: 2 })];
  expect(check(jobs, 3)).toMatchObject({
    jobs: 2,
    outcomes: { completed: 1, filtered: 0, cancelled: 0, dead: 1, waiting: 0 },
    maxCallsPerJob: 2,
    disagreements: 3,
  });
});
