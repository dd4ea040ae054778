import { NO_NOTES } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { spell } from "../src/spell.ts";
import { reasonOf, reasonOfEnd, type Situation } from "../src/why.ts";

const situation: Situation = {
  state: "waiting",
  wait: {
    now: 1_000,
    dueAt: undefined,
    fetched: 0,
    locked: true,
    notes: NO_NOTES,
    newer: undefined,
    failure: undefined,
  },
  ahead: 0,
  gate: { answer: "granted", cause: undefined, afterMs: 0 },
  fleet: { workers: 2, calls: 0, slots: 8 },
  unserved: undefined,
  isolated: undefined,
  fallback: [],
  leader: undefined,
  call: undefined,
  asyncSince: undefined,
  unpolled: false,
};
const open = (cause: string | undefined) => ({ answer: "open", cause, afterMs: 2_000 });

describe("what keeps every job of the lane comes before its turn", () => {
  const unserved = "No worker serves lane 'bulk' of pool 'claude'";
  const all = { ...situation, ahead: 7, gate: open("breaker"), unserved, isolated: "Isolated" };

  test("no worker, a lane nobody serves, no credentials, a closed pool, its turn", () => {
    const none = { ...all, fleet: { ...all.fleet, workers: 0 } };
    const reasons = [
      none,
      all,
      { ...all, unserved: undefined },
      { ...all, unserved: undefined, isolated: undefined },
      { ...situation, ahead: 7 },
    ].map((each) => reasonOf(each).reason);
    expect(reasons).toEqual(["no-worker", "unserved-lane", "no-identity", "breaker", "ahead"]);
    expect(reasonOf(all).why).toBe(unserved);
  });

  test.each(["breaker", "probing", "isolated", "day", "day-rest", "hold", "something new", undefined])(
    "closed by %s",
    (cause) => {
      const { reason, why } = reasonOf({ ...situation, gate: open(cause), fallback: ["other", "third"] });
      expect(reason).toBe(cause ?? "closed");
      expect(why).toMatch(/^[A-Z].*\. Meanwhile other, third may answer in its place$/);
    },
  );
});

test("a start that lies ahead is a wait for quota, also when it is granted", () => {
  const gate = { answer: "granted", cause: undefined, afterMs: 12_000 };
  expect(reasonOf({ ...situation, gate })).toEqual({
    reason: "quota",
    why: "It is next; the quota has room in 12 s",
  });
  expect(reasonOf({ ...situation, state: "active", gate }).why).toContain("has room in 12 s");
});

describe("who has shut the pool is told", () => {
  test.each([
    [
      "breaker",
      "open",
      false,
      "The pool takes no calls: its breaker is open after failures, and it tries one in 2 s",
    ],
    [
      "breaker",
      "open",
      true,
      "The pool takes no calls: an operator has opened its breaker, and it tries one in 2 s",
    ],
    [
      "breaker",
      "suspected",
      false,
      "Calls were denied access to the model: the pool makes none but one, which finds out, in 2 s",
    ],
    [
      "isolated",
      "isolated",
      false,
      "Access to the model is denied to every call, so the pool makes none but one in 2 s. Mend the access",
    ],
    [
      "isolated",
      "isolated",
      true,
      "An operator has isolated the pool: it makes no call until one closes its breaker",
    ],
  ])("%s, %s, by hand: %s", (cause, phase, byHand, why) => {
    expect(reasonOf({ ...situation, gate: { ...open(cause), phase, byHand } })).toEqual({
      reason: cause,
      why,
    });
  });
});

describe("of a delayed job", () => {
  const later = { ...situation, state: "delayed" as const, wait: { ...situation.wait, dueAt: 61_000 } };
  const due = { ...later, wait: { ...later.wait, dueAt: 900 } };
  const none = { workers: 0, calls: 0, slots: 0 };

  test("a start that has come waits for what keeps the lane, and one that has not for its time", () => {
    expect(reasonOf({ ...due, fleet: none })).toMatchObject({ reason: "no-worker" });
    expect(reasonOf({ ...due, gate: open("day") })).toMatchObject({ reason: "day" });
    expect(reasonOf(due)).toMatchObject({ reason: "scheduled", why: expect.stringContaining("that is now") });
    expect(reasonOf({ ...later, fleet: none })).toMatchObject({ reason: "scheduled" });
  });

  test("who leads an equal request matters to one that has been fetched, not to one whose time has not come", () => {
    expect(reasonOf({ ...later, leader: "other" })).toMatchObject({
      reason: "scheduled",
      why: expect.stringMatching(/, in 1 min$/),
    });
    const fetched = { ...later, leader: "other", wait: { ...later.wait, fetched: 1 } };
    expect(reasonOf(fetched)).toMatchObject({ reason: "shared", leader: "other" });
  });

  test("nobody is said to answer the equal request while nobody can", () => {
    const follower = { ...later, leader: "other", wait: { ...later.wait, fetched: 1 } };
    const waits = "It waits for the answer to an equal request, job other.";
    expect(reasonOf({ ...follower, fleet: none })).toEqual({
      reason: "no-worker",
      leader: "other",
      why: `${waits} No worker of its pool's scope is running`,
    });
    expect(reasonOf({ ...follower, gate: { ...open("isolated"), byHand: true } })).toEqual({
      reason: "isolated",
      leader: "other",
      why: `${waits} An operator has isolated the pool: it makes no call until one closes its breaker`,
    });
  });

  test("a retry that is due meets what keeps the lane", () => {
    const notes = { ...NO_NOTES, failures: 1 };
    const retry = { ...due, wait: { ...due.wait, fetched: 1, notes } };
    expect(reasonOf({ ...retry, fleet: none })).toEqual({
      reason: "no-worker",
      why: "No worker of its pool's scope is running. Its last call failed",
    });
    expect(reasonOf({ ...retry, wait: { ...retry.wait, dueAt: 3_000 }, fleet: none })).toEqual({
      reason: "retry",
      why: "Its last call failed. Its next try is due in 2 s. No worker of its pool's scope is running",
    });
  });
});

test("what is due already is due now", () => {
  const wait = { ...situation.wait, dueAt: 900, fetched: 1 };
  expect(reasonOf({ ...situation, state: "delayed", wait }).why).toBe(
    "It was handed back without a call, and is due now",
  );
});

test("one that died is told as far as it is known", () => {
  const dead = { state: "dead", id: "x", failure: undefined } as const;
  expect(reasonOfEnd(dead, undefined, "unknown").why).toBe("It failed for good");
  expect(reasonOfEnd(dead, undefined, { id: "x", state: "parked" }).why).toBe(
    "It failed for good. Its dead letter is `sluice dead-letters show x`, now parked",
  );
});

test.each([
  [-5, "0 ms"],
  [999.2, "1 s"],
  [250, "250 ms"],
  [59_001, "1 min"],
  [61_000, "1 min 1 s"],
  [3_600_000, "1 h"],
  [5_400_000, "1 h 30 min"],
  [90_000_000, "25 h"],
])("%d ms is %s", (ms, text) => {
  expect(spell(ms)).toBe(text);
});

test("an async call that Bedrock works on is under way, unless nobody asks for its answer", () => {
  const started = { ...situation, asyncSince: 1_000 - 90_000, gate: open("breaker") };
  expect(reasonOf(started).reason).toBe("async");
  const { reason, why } = reasonOf({ ...started, unpolled: true });
  expect(reason).toBe("unserved-lane");
  expect(why).toContain("no worker asks it for the answer");
});
