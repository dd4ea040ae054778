import {
  FAILURES,
  NO_NOTES,
  readNotes,
  writeNotes,
  type FailureRow,
  type FailureRule,
  type Notes,
} from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countsAgainst, mayBePaid, nextStep, type NextStep, type Try } from "../src/index.ts";
import { failed, othersAnswered } from "./fakes.ts";

const rules = Object.keys(FAILURES).filter((name): name is FailureRule => name in FAILURES);
const rowOf = (rule: FailureRule): FailureRow => FAILURES[rule];
const rule = fc.constantFrom(...rules);
const deathless = fc.constantFrom(...rules.filter((name) => rowOf(name).costs !== "life"));

const tried: fc.Arbitrary<Try> = fc
  .record({
    attemptsMade: fc.nat({ max: 20 }),
    maxAttempts: fc.integer({ min: 1, max: 20 }),
    notes: fc.record({
      failures: fc.nat({ max: 2_000 }),
      throttles: fc.nat({ max: 2_000 }),
      apart: fc.boolean(),
      stallsOutlived: fc.nat({ max: 100 }),
      failedAt: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: undefined }),
      byRow: fc.constant({}),
      entry: fc.constant(0),
    }),
    settled: fc.record(
      {
        answeredAgoMs: fc.nat({ max: 100_000 }),
        operationAnsweredAgoMs: fc.nat({ max: 100_000 }),
        probe: fc.boolean(),
        shutMs: fc.nat({ max: 60_000 }),
        retry: fc.constantFrom("granted" as const, "exhausted" as const),
      },
      { requiredKeys: [] },
    ),
    callMs: fc.nat({ max: 100_000 }),
    reservedTokens: fc.nat(),
    left: fc.integer({ min: -10_000, max: 10_000_000 }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  .map(({ left, random, ...rest }) => ({
    ...rest,
    index: 0,
    pools: 1,
    now: 1_000_000,
    deadlineAt: 1_000_000 + left,
    random: () => random,
  }));

const first: Try = {
  attemptsMade: 0,
  maxAttempts: 3,
  notes: NO_NOTES,
  settled: othersAnswered,
  callMs: 100,
  reservedTokens: 150,
  index: 0,
  pools: 1,
  now: 1_000_000,
  deadlineAt: 1e12,
  random: () => 0.999_999_9,
};

/** The delay when chance is at its worst. */
function longest(of: FailureRule, part: Partial<Try> = {}): number {
  const step = nextStep(failed(of), { ...first, maxAttempts: 20, ...part });
  return step.type === "retry" ? Math.round(step.delayMs) : Number.NaN;
}

const noted = (part: Partial<Notes>): Notes => ({ ...NO_NOTES, ...part });

describe("a job's life", () => {
  test("is never ended before its deadline by what is not its own fault", () => {
    fc.assert(
      fc.property(deathless, tried, (of, t) => {
        // Nobody was answered meanwhile, however often it has failed.
        const settled = { shutMs: t.settled.shutMs ?? 0 };
        const step = nextStep(failed(of), { ...t, settled, deadlineAt: t.now + 2_000 });
        expect(step).toMatchObject({ type: "retry", attempt: false });
      }),
    );
  });

  test.each(rules.filter((name) => rowOf(name).costs === "time"))("is not touched by %s", (of) => {
    const step = nextStep(failed(of), { ...first, attemptsMade: 2 });
    expect(step).toMatchObject({ type: "retry", attempt: false });
  });

  test.each(rules.filter((name) => ["attempt", "call"].includes(rowOf(name).costs)))(
    "has its attempts at %s while others are answered",
    (of) => {
      expect(nextStep(failed(of), { ...first, attemptsMade: 1 })).toMatchObject({
        type: "retry",
        attempt: true,
      });
      const last = failed(of);
      expect(nextStep(last, { ...first, attemptsMade: 2 })).toEqual({ type: "dead", failure: last.failure });
    },
  );

  test.each(rules.filter((name) => rowOf(name).costs === "life"))("ends with %s", (of) => {
    const last = failed(of, { retryAfterMs: 1 });
    expect(nextStep(last, first)).toEqual({ type: "dead", failure: last.failure });
  });

  test("has three attempts at an error of the model that names no status, whatever its pool allows", () => {
    const tries = { ...first, maxAttempts: 20 };
    const steps = (...failures: readonly FailureRule[]): string => {
      let { notes } = tries;
      const types = failures.map((each, attemptsMade) => {
        const step = nextStep(failed(each), { ...tries, attemptsMade, notes });
        if (step.type === "retry") notes = readNotes(writeNotes(step.notes));
        return step.type;
      });
      return types.join(" ");
    };
    expect(steps("modelUnclear", "modelUnclear", "modelUnclear")).toBe("retry retry dead");
    // Those of other kinds are none of them.
    expect(steps("internal", "internal", "modelUnclear", "modelUnclear")).toBe("retry retry retry retry");
    expect(steps("modelUnclear", "internal", "modelUnclear", "internal", "modelUnclear")).toBe(
      "retry retry retry retry dead",
    );
    expect(steps("modelFailed", "modelFailed", "modelFailed")).toBe("retry retry retry");
  });

  test("lasts to its deadline: the last tries come closer together", () => {
    fc.assert(
      fc.property(deathless, tried, (of, t) => {
        const step = nextStep(failed(of), { ...t, attemptsMade: 0, maxAttempts: 100 });
        const left = t.deadlineAt - t.now;
        expect(step.type).toBe(left < 1_250 ? "dead" : "retry");
        expect(step.type === "dead" || t.now + step.delayMs < t.deadlineAt).toBe(true);
      }),
    );
  });

  test("that ends at the deadline is told by what kept it from its answer", () => {
    const step = nextStep(failed("unavailable"), { ...first, deadlineAt: first.now + 500 });
    expect(step).toMatchObject({
      type: "dead",
      failure: {
        errorClass: "ServiceUnavailableException",
        message: "The deadline passed. The last call: try later",
      },
    });
  });
});

describe("what counts against a job", () => {
  test("is a failure while others were answered, from its start to its end", () => {
    expect(countsAgainst(failed("internal"), { ...first, settled: { answeredAgoMs: 100 } })).toBe(true);
    expect(countsAgainst(failed("internal"), { ...first, settled: { answeredAgoMs: 101 } })).toBe(false);
    expect(countsAgainst(failed("internal"), { ...first, settled: {} })).toBe(false);
  });

  test("is none of an operation that is out while others of its pool are answered", () => {
    const isOut = { ...first, callMs: 500, settled: { answeredAgoMs: 100, operationAnsweredAgoMs: 20_000 } };
    expect(countsAgainst(failed("streamError"), isOut)).toBe(false);
    // What it may have cost is bounded all the same, and comes seldom.
    expect(mayBePaid(failed("streamError"), isOut)).toBe(true);
    const fourth = nextStep(failed("streamError"), { ...isOut, notes: noted({ failures: 3 }) });
    expect(fourth).toMatchObject({ type: "retry", attempt: false });
    expect(fourth).toHaveProperty(
      "delayMs",
      expect.toSatisfy((ms) => Number(ms) >= 30_000),
    );
    // One that has long been silent, or was never answered, is asked in vain.
    for (const settled of [
      { answeredAgoMs: 100, operationAnsweredAgoMs: 3_600_000 },
      { answeredAgoMs: 100 },
    ]) {
      expect(countsAgainst(failed("streamError"), { ...isOut, settled })).toBe(true);
    }
  });

  test("is no probe, and no call its process slept through", () => {
    const probe = { ...first, settled: { ...othersAnswered, probe: true } };
    expect(countsAgainst(failed("timeout"), probe)).toBe(false);
    expect(countsAgainst(failed("timeout", {}, { stood: true }), first)).toBe(false);
  });

  test("is a refusal in the middle of an answer, which may have been paid", () => {
    expect(countsAgainst(failed("unavailable"), first)).toBe(false);
    const midStream = failed("unavailable", {}, { charge: "estimate" });
    expect(countsAgainst(midStream, first)).toBe(true);
    expect(mayBePaid(midStream, first)).toBe(true);
  });

  test("is no throttle, in whatever place", () => {
    const midStream = failed("tokensThrottled", {}, { charge: "estimate" });
    expect(countsAgainst(midStream, first)).toBe(false);
    expect(mayBePaid(midStream, first)).toBe(false);
  });

  test("is the cost of a call that its process slept through, if not the attempt", () => {
    const slept = failed("timeout", {}, { stood: true });
    expect(countsAgainst(slept, first)).toBe(false);
    expect(mayBePaid(slept, first)).toBe(true);
  });

  test("is a denial only if others were let through since the job was last denied", () => {
    const denied = { ...first, notes: noted({ failedAt: first.now - 5_000 }) };
    expect(
      countsAgainst(failed("accessDenied"), { ...denied, settled: { operationAnsweredAgoMs: 4_000 } }),
    ).toBe(true);
    expect(
      countsAgainst(failed("accessDenied"), { ...denied, settled: { operationAnsweredAgoMs: 6_000 } }),
    ).toBe(false);
    // Another operation that may be called says nothing about this one.
    expect(countsAgainst(failed("accessDenied"), { ...denied, settled: { answeredAgoMs: 0 } })).toBe(false);
  });
});

describe("the delay", () => {
  const caps = { transient: 60_000, throttled: 120_000, systemic: 60_000, terminal: 0 };

  test("is at least 250 ms, and at most the kind's cap, while the pool takes calls", () => {
    fc.assert(
      fc.property(rule, tried, (of, t) => {
        const settled = { ...t.settled, shutMs: 0 };
        const step = nextStep(failed(of), { ...t, settled, notes: NO_NOTES, deadlineAt: t.now + 1e9 });
        fc.pre(step.type === "retry");
        expect(step.type === "retry" && step.delayMs).toBeGreaterThanOrEqual(250);
        expect(step.type === "retry" && step.delayMs).toBeLessThanOrEqual(caps[rowOf(of).kind]);
      }),
    );
  });

  test("doubles at most with every failure", () => {
    expect([0, 1, 2, 9].map((failures) => longest("internal", { notes: noted({ failures }) }))).toEqual([
      1_000, 2_000, 4_000, 60_000,
    ]);
    expect(
      [0, 1, 2, 9].map((failures) => longest("tokensThrottled", { notes: noted({ failures }) })),
    ).toEqual([2_000, 4_000, 8_000, 120_000]);
  });

  test("is the server's own, up to five minutes, spread a little", () => {
    fc.assert(
      fc.property(tried, fc.nat({ max: 900_000 }), (t, retryAfterMs) => {
        const step = nextStep(failed("tokensThrottled", { retryAfterMs }), {
          ...t,
          settled: {},
          deadlineAt: t.now + 1e9,
        });
        const hint = Math.min(retryAfterMs, 300_000);
        expect(step.type === "retry" && step.delayMs).toBeGreaterThanOrEqual(hint);
        expect(step.type === "retry" && step.delayMs).toBeLessThanOrEqual(hint + caps.throttled / 4);
      }),
    );
  });

  test("ends soon after the pool may be called again, whatever the failures before", () => {
    const shut = { settled: { shutMs: 7_000 }, notes: noted({ failures: 20 }) };
    expect(longest("unavailable", shut)).toBeLessThanOrEqual(8_300);
    expect(longest("unavailable", { ...shut, random: () => 0 })).toBeGreaterThan(7_000);
  });

  test("does not wait for a shut pool that has others in its chain", () => {
    const shut = { settled: { shutMs: 900_000 }, pools: 2, index: 1 };
    expect(longest("unavailable", shut)).toBeLessThanOrEqual(1_000);
  });

  test("is as long as may be when the pool has too many retries under way", () => {
    expect(longest("unavailable", { settled: { retry: "exhausted" }, random: () => 0 })).toBe(30_000);
  });

  test("is short after a process has lost its credentials, so that another one takes the job", () => {
    expect(longest("badCredentials", { notes: noted({ failures: 20 }) })).toBeLessThanOrEqual(1_000);
  });
});

/** A large job is throttled once more. */
function again(throttles: number, part: Partial<Try> = {}): NextStep {
  return nextStep(failed("tokensThrottled"), {
    ...first,
    notes: noted({ throttles, failures: throttles, failedAt: first.now - 10_000 }),
    reservedTokens: 63_000,
    ...part,
  });
}

describe("a job that is throttled again and again", () => {
  test("is kept apart from the third throttle on, if others are answered", () => {
    expect(again(1)).toMatchObject({ notes: { throttles: 2, apart: false } });
    expect(again(2)).toMatchObject({ notes: { throttles: 3, apart: true }, attempt: false });
    expect(again(2, { settled: {} })).toMatchObject({ notes: { throttles: 3, apart: false } });
  });

  test("is tried ever more rarely, up to once an hour", () => {
    const delays = [2, 3, 4, 20].map((throttles) => {
      const step = again(throttles);
      return step.type === "retry" ? Math.round(step.delayMs) : Number.NaN;
    });
    expect(delays).toEqual([60_000, 120_000, 240_000, 3_600_000]);
  });

  test("is back among the others once something else came of a call", () => {
    const step = nextStep(failed("internal"), { ...first, notes: noted({ throttles: 5, apart: true }) });
    expect(step).toMatchObject({ notes: { throttles: 0, apart: false } });
  });

  test("ends with the size that passed", () => {
    const settled = { ...othersAnswered, largestPassed: 1_200 };
    expect(again(2, { settled, deadlineAt: first.now + 500 })).toMatchObject({
      type: "dead",
      failure: {
        errorClass: "LargerThanAnyAnswered",
        message: expect.stringMatching(/63000 tokens .* up to 1200 tokens/),
      },
    });
  });

  test("of a size that others passed with ends as what it is", () => {
    const settled = { ...othersAnswered, largestPassed: 63_000 };
    expect(again(2, { settled, deadlineAt: first.now + 500 })).toMatchObject({
      failure: { errorClass: "ThrottlingException" },
    });
  });

  test("is not one that the service has no capacity for", () => {
    const step = nextStep(failed("overloaded"), { ...first, notes: noted({ throttles: 5 }) });
    expect(step).toMatchObject({ notes: { throttles: 0, apart: false } });
  });
});

describe("a pool with others in its chain", () => {
  const chain = { ...first, pools: 2 };

  test.each(rules.filter((name) => rowOf(name).elsewhere === "at once"))("leaves it at once for %s", (of) => {
    expect(nextStep(failed(of), chain)).toMatchObject({ type: "retry", notes: { entry: 1 } });
    expect(nextStep(failed(of), { ...chain, attemptsMade: 2 })).toMatchObject({ type: "retry" });
  });

  test("leaves it for what keeps coming", () => {
    expect(nextStep(failed("modelTimeout"), chain)).toMatchObject({ notes: { entry: 0 } });
    const second = { ...chain, notes: noted({ failures: 1 }) };
    expect(nextStep(failed("modelTimeout"), second)).toMatchObject({ notes: { entry: 1 } });
  });

  test("begins again with the first after the last", () => {
    const last = { ...chain, index: 1, notes: noted({ entry: 1, failures: 1 }) };
    expect(nextStep(failed("unavailable"), last)).toMatchObject({ type: "retry", notes: { entry: 0 } });
  });
});
