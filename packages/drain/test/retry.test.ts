import { failureKindSchema, type Failure, type FailureKind } from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextStep, type Try } from "../src/index.ts";

const failureOf = (kind: FailureKind, part: Partial<Failure> = {}): Failure => ({
  kind,
  errorClass: "SomeException",
  message: "",
  ...part,
});

const kind = fc.constantFrom(...failureKindSchema.options);
const tried: fc.Arbitrary<Try> = fc
  .record({
    attemptsMade: fc.nat({ max: 20 }),
    others: fc.nat({ max: 2_000 }),
    maxAttempts: fc.integer({ min: 1, max: 20 }),
    systemicDeferrals: fc.nat({ max: 5 }),
    left: fc.integer({ min: -10_000, max: 1_000_000 }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  .map(({ others, left, random, attemptsMade, ...rest }) => ({
    ...rest,
    attemptsMade,
    attemptsStarted: attemptsMade + others + 1,
    now: 1_000_000,
    deadlineAt: 1_000_000 + left,
    random: () => random,
  }));
const first: Try = {
  attemptsMade: 0,
  attemptsStarted: 1,
  maxAttempts: 3,
  systemicDeferrals: 0,
  now: 0,
  deadlineAt: 1e9,
  random: () => 0.999_999,
};

/** The delay when chance is at its worst. */
function longest(of: FailureKind, part: Partial<Try>): number {
  const step = nextStep(failureOf(of), { ...first, maxAttempts: 20, ...part });
  return step.type === "retry" ? Math.round(step.delayMs) : Number.NaN;
}

describe("nextStep", () => {
  const caps = { transient: 60_000, throttled: 120_000, systemic: 60_000, terminal: 0 };

  test("never waits less than 250 ms, nor longer than the kind's cap", () => {
    fc.assert(
      fc.property(kind, tried, (of, t) => {
        const step = nextStep(failureOf(of), t);
        fc.pre(step.type === "retry");
        expect(step.type === "retry" && step.delayMs).toBeGreaterThanOrEqual(250);
        expect(step.type === "retry" && step.delayMs).toBeLessThanOrEqual(caps[of]);
      }),
    );
  });

  test("never lets a job come back at or after its deadline, and says that it was the deadline", () => {
    fc.assert(
      fc.property(kind, tried, fc.option(fc.nat({ max: 900_000 }), { nil: undefined }), (of, t, hint) => {
        const failure = failureOf(of, hint === undefined ? {} : { retryAfterMs: hint });
        const step = nextStep(failure, t);
        const inTime = step.type === "retry" && t.now + step.delayMs < t.deadlineAt;
        const ended =
          step.type === "dead" && ["SomeException", "DeadlineExceeded"].includes(step.failure.errorClass);
        expect(inTime || ended).toBe(true);
      }),
    );
  });

  test("never charges a throttle or broken credentials to the job, and always a transient failure", () => {
    fc.assert(
      fc.property(kind, tried, (of, t) => {
        const step = nextStep(failureOf(of), t);
        fc.pre(step.type === "retry");
        expect(step).toMatchObject({ attempt: of === "transient" });
      }),
    );
  });

  test("never ends a throttled job before its deadline, however often it was throttled", () => {
    fc.assert(
      fc.property(tried, (t) => {
        const step = nextStep(failureOf("throttled"), { ...t, deadlineAt: t.now + 1e6 });
        expect(step.type).toBe("retry");
      }),
    );
  });

  test("gives a job exactly its attempts", () => {
    fc.assert(
      fc.property(tried, (t) => {
        const step = nextStep(failureOf("transient"), { ...t, deadlineAt: t.now + 1e6 });
        expect(step.type).toBe(t.attemptsMade + 1 < t.maxAttempts ? "retry" : "dead");
      }),
    );
  });

  test("never tries a terminal failure again", () => {
    fc.assert(
      fc.property(tried, (t) => {
        const failure = failureOf("terminal", { retryAfterMs: 1 });
        expect(nextStep(failure, t)).toEqual({ type: "dead", failure });
      }),
    );
  });

  test("ends a job that broken credentials have put off three times", () => {
    const failure = failureOf("systemic");
    expect(nextStep(failure, { ...first, systemicDeferrals: 2 })).toMatchObject({ type: "retry" });
    expect(nextStep(failure, { ...first, systemicDeferrals: 3 })).toEqual({ type: "dead", failure });
  });

  test("waits at least as long as the server asks, up to five minutes, spread a little", () => {
    fc.assert(
      fc.property(tried, fc.nat({ max: 900_000 }), (t, retryAfterMs) => {
        const step = nextStep(failureOf("throttled", { retryAfterMs }), { ...t, deadlineAt: t.now + 1e9 });
        const hint = Math.min(retryAfterMs, 300_000);
        expect(step.type === "retry" && step.delayMs).toBeGreaterThanOrEqual(hint);
        expect(step.type === "retry" && step.delayMs).toBeLessThanOrEqual(hint + caps.throttled / 4);
      }),
    );
  });

  test("doubles the longest wait with every try of the same sort", () => {
    expect([0, 1, 2, 9].map((attemptsMade) => longest("transient", { attemptsMade }))).toEqual([
      1_000, 2_000, 4_000, 60_000,
    ]);
    // Attempts of the job's own do not make it wait longer for a quota.
    expect(
      [1, 2, 3, 9].map((attemptsStarted) => longest("throttled", { attemptsStarted, attemptsMade: 0 })),
    ).toEqual([2_000, 4_000, 8_000, 120_000]);
    expect(longest("throttled", { attemptsStarted: 5, attemptsMade: 4 })).toBe(2_000);
  });
});
