import type { Listener } from "@sluice/job";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { quiet, type QuietOptions } from "../src/index.ts";

function world(options: QuietOptions = {}) {
  const told: [string, object][] = [];
  const listener: Listener = (name, event) => void told.push([name, event]);
  const hear = quiet(listener, { now: Date.now, ...options });
  const error = (part: string, text: string): void => hear("worker:error", { part, error: text });
  return { told, hear, error };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("an error that comes again and again", () => {
  test("is told first, then how often it came, then that it is over and how long it lasted", () => {
    const { told, error } = world();
    for (let second = 0; second < 25; second += 1) {
      error("gate", "Error: connect ECONNREFUSED 127.0.0.1:6379");
      vi.advanceTimersByTime(1_000);
    }
    vi.advanceTimersByTime(60_000);
    const of = { part: "gate", error: "Error: connect ECONNREFUSED 127.0.0.1:6379" };
    expect(told).toEqual([
      // After the time in which its cause may be told.
      ["worker:error", of],
      ["error:repeated", { errors: [{ ...of, times: 10, lastedMs: 9_000 }] }],
      ["error:repeated", { errors: [{ ...of, times: 20, lastedMs: 19_000 }] }],
      ["error:repeated", { errors: [{ ...of, times: 25, lastedMs: 24_000 }] }],
      ["error:over", { errors: [{ ...of, times: 25, lastedMs: 24_000 }] }],
    ]);
    error("gate", "Error: connect ECONNREFUSED 127.0.0.1:6379");
    vi.advanceTimersByTime(8_000);
    expect(told.at(-1)).toEqual(["worker:error", of]);
  });

  test("is one when Redis is away, whichever part meets it and whatever the driver calls it", () => {
    const { told, error } = world();
    error("redis", "Error: connect ECONNREFUSED 127.0.0.1:6379");
    error("intake claude.bulk", "Error: Connection is closed.");
    error("locks", "Error: Command timed out");
    error("gate", "MaxRetriesPerRequestError: Reached the max retries per request limit (which is 1).");
    error("sweeper claude.bulk", "Error: read ECONNRESET");
    vi.advanceTimersByTime(8_000);
    expect(told).toHaveLength(1);
  });

  test("is told by part and kind otherwise, without the names and numbers in it", () => {
    const { told, error } = world();
    error("reconciler", "TypeError: x is not a function");
    error("locks", "TypeError: x is not a function");
    error(
      "intake claude.bulk",
      "Error: Missing lock for job claude.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3. moveToFinished",
    );
    error(
      "intake claude.live",
      "Error: Missing lock for job claude.live.01j9z3n4q5r6s7t8v9w0x1y2z4. moveToFinished",
    );
    expect(told).toHaveLength(3);
  });

  test("is counted among the others beyond so many kinds", () => {
    const { told, error } = world({ kinds: 3 });
    for (const letter of "abcdefgh") error("gate", `Error: ${letter}`);
    vi.advanceTimersByTime(10_000);
    expect(told.filter(([name]) => name === "worker:error")).toHaveLength(4);
    expect(told.at(-1)).toMatchObject(["error:repeated", { errors: [{ error: "Error: d", times: 5 }] }]);
  });

  test("of DynamoDB is counted too, and is another", () => {
    const { told, hear, error } = world();
    const blocked = { waiting: 3, error: "DeadLetterError: DynamoDB could not write a letter: ECONNREFUSED" };
    hear("dead-letter:blocked", blocked);
    hear("dead-letter:blocked", blocked);
    error("gate", "Error: connect ECONNREFUSED");
    vi.advanceTimersByTime(8_000);
    expect(told.map(([name]) => name)).toEqual(["dead-letter:blocked", "worker:error"]);
  });
});

describe("an error whose cause another event tells", () => {
  const refused = "Error: connect ECONNREFUSED 127.0.0.1:6379";
  const trouble = { code: "away", problem: "Redis does not answer", ready: false };

  test("is not told beside it, whichever of them comes first; how often it comes is", () => {
    const { told, hear, error } = world();
    error("redis", refused);
    vi.advanceTimersByTime(7_000);
    hear("redis:trouble", trouble);
    error("gate", "Error: Command timed out");
    vi.advanceTimersByTime(3_000);
    expect(told).toEqual([
      ["redis:trouble", trouble],
      ["error:repeated", { errors: [{ part: "redis", error: refused, times: 2, lastedMs: 7_000 }] }],
    ]);
  });

  test("is told once the cause is over, or when it is another", () => {
    const { told, hear, error } = world();
    hear("redis:trouble", trouble);
    error("gate", "ReplyError: OOM command not allowed when used memory > 'maxmemory'.");
    hear("redis:recovered", { code: "away", lastedMs: 1_000 });
    error("redis", refused);
    vi.advanceTimersByTime(8_000);
    expect(told.map(([name]) => name)).toEqual([
      "redis:trouble",
      "redis:recovered",
      "worker:error",
      "worker:error",
    ]);
  });

  test("may be about a need, as long as that lacks", () => {
    const { told, hear, error } = world();
    const why = "DynamoDB could not use table 't': ResourceNotFoundException";
    error("board", `DeadLetterError: ${why}`);
    hear("start:lacks", { need: "dead letter table 't'", why });
    // That letters wait says no other event.
    hear("dead-letter:blocked", { waiting: 3, error: `DeadLetterError: ${why}` });
    vi.advanceTimersByTime(60_000);
    expect(told.map(([name]) => name)).toEqual(["start:lacks", "dead-letter:blocked"]);
  });

  test("is told at the end, if nobody has told its cause", () => {
    const { told, hear, error } = world();
    error("redis", refused);
    hear.stop();
    expect(told).toEqual([["worker:error", { part: "redis", error: refused }]]);
  });
});

test("other events pass as ever, and the end tells what was only counted", () => {
  const { told, hear, error } = world();
  for (let times = 0; times < 3; times += 1) {
    hear("job:lock-lost", { id: "a" });
    error("gate", "Error: x");
  }
  hear.stop();
  expect(told.map(([name]) => name)).toEqual([
    "job:lock-lost",
    "worker:error",
    "job:lock-lost",
    "job:lock-lost",
    "error:repeated",
  ]);
});
