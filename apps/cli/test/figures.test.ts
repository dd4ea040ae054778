import { newJobId } from "@sluice/job";
import { describe, expect, test } from "vitest";
import type { SimulatedCall } from "../src/dev/evidence.ts";
import { percentile, quotaUtilisation, settledUntil, waitsOf } from "../src/dev/figures.ts";

/** 1,000 tokens a second. */
const PER_MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 1);

function call(given: Partial<SimulatedCall> & { jobId?: string } = {}): SimulatedCall {
  const { jobId, ...rest } = given;
  return {
    seq: 1,
    startedAt: T0,
    endedAt: T0 + 500,
    admitted: true,
    settledTokens: 1_000,
    outcome: "completed",
    requestMetadata: { jobId: jobId ?? newJobId("claude", "bulk", T0) },
    ...rest,
  };
}

describe("quotaUtilisation", () => {
  test("is settled tokens over what the quota gave from the first job to the last start, the saved burst included", () => {
    const calls = [0, 1, 2, 3, 4].map((second) =>
      call({ startedAt: T0 + second * 1_000, settledTokens: 900 }),
    );
    // 4 s of 1,000, and 985 that were saved up before.
    expect(quotaUtilisation(calls, PER_MINUTE)).toBe(0.9027);
  });

  test("knows a job by its first admitted call, and leaves out what starts after the last of these", () => {
    const jobId = newJobId("claude", "bulk", T0);
    const calls = [
      call({ jobId, admitted: false, settledTokens: 0, startedAt: T0 - 5_000 }),
      call({ jobId }),
      call({ startedAt: T0 + 2_000 }),
      call({ jobId, startedAt: T0 + 60_000 }),
    ];
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo(2_000 / 2_985);
  });

  test("is not above all of the quota right after the start, when the saved burst is spent", () => {
    const calls = [0, 100, 200].map((ms) => call({ startedAt: T0 + ms, settledTokens: 390 }));
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo(1_170 / 1_185);
  });

  test("counts the time from acceptance, however late the first call starts", () => {
    const calls = [1, 2, 3].map((second) => call({ startedAt: T0 + second * 1_000 }));
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo(3_000 / 3_985);
  });

  test("is not said while more was let go ahead than the quota has paid for, and is a true one afterwards", () => {
    const ahead = [0, 1, 2, 3, 4].map((index) => call({ startedAt: T0 + 100 + index, settledTokens: 900 }));
    const after = [1, 2, 3, 4, 5].map((second) =>
      call({ startedAt: T0 + second * 1_000, settledTokens: 200 }),
    );
    const at = (second: number) => quotaUtilisation([...ahead, ...after.slice(0, second)], PER_MINUTE);
    // One start of 900 was within the burst of 985: it says nothing of the seconds since.
    expect([at(1), at(2), at(3), at(4)]).toEqual(Array.from({ length: 4 }, () => undefined));
    expect(at(5)).toBeCloseTo(5_500 / 5_985);
  });

  test("ends with the last start that is paid for, when the very last are not yet", () => {
    const calls = [
      ...[0, 1, 2, 3, 4].map((second) => call({ startedAt: T0 + second * 1_000, settledTokens: 900 })),
      call({ startedAt: T0 + 4_100, settledTokens: 5_000 }),
    ];
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo(4_500 / 4_985);
    expect(quotaUtilisation([...calls, call({ startedAt: T0 + 10_000 })], PER_MINUTE)).toBeCloseTo(
      10_500 / 10_985,
    );
  });

  test("leaves out starts whose neighbours may be under way, so that it does not rise when they have ended", () => {
    const calls = [0, 1, 2, 3, 4].map((second) => {
      const startedAt = T0 + second * 1_000;
      return call({ startedAt, endedAt: startedAt + 2_000, settledTokens: 900 });
    });
    const now = T0 + 4_500;
    const ended = calls.filter(({ endedAt }) => endedAt <= now);
    const shown = quotaUtilisation(ended, PER_MINUTE, settledUntil(ended, now));
    expect(shown).toBeCloseTo(2_700 / 2_985);
    expect(shown).toBe(quotaUtilisation(calls.slice(0, 3), PER_MINUTE));
  });

  test.each([
    ["no call", []],
    ["one job", [call()]],
    ["two jobs that start as they are accepted", [call(), call()]],
    ["calls of nobody's job", [call({ requestMetadata: null }), call({ requestMetadata: {} })]],
  ])("says nothing of %s", (_, calls) => {
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeUndefined();
  });
});

test("settledUntil is as long ago as the longest answer took, whatever ends at once", () => {
  expect(settledUntil([], T0)).toBe(-Infinity);
  expect(settledUntil([call({ outcome: "error", endedAt: T0 + 5 })], T0)).toBe(-Infinity);
  expect(settledUntil([call({ endedAt: T0 + 5 }), call({ endedAt: T0 + 700 })], T0 + 1_000)).toBe(T0 + 300);
});

test("waitsOf sorts a lane's waits from acceptance to the first admitted call", () => {
  const late = newJobId("claude", "bulk", T0);
  const calls = [
    call({ jobId: late, admitted: false, startedAt: T0 + 100 }),
    call({ jobId: late, startedAt: T0 + 900 }),
    call({ jobId: late, startedAt: T0 + 5_000 }),
    call({ startedAt: T0 + 300 }),
    call({ startedAt: T0 - 1 }),
    call({ jobId: newJobId("claude", "critical", T0), startedAt: T0 + 7 }),
    call({ jobId: "not an id" }),
  ];
  expect(waitsOf(calls, "bulk")).toEqual([0, 300, 900]);
  expect(waitsOf(calls, "critical")).toEqual([7]);
});

test.each([
  [[], 0.99, 0],
  [[5], 0.5, 5],
  [[1, 2, 3, 4], 0.5, 2],
  [[1, 2, 3, 4], 0.51, 3],
  [[1, 2, 3, 4], 0.99, 4],
  [[1, 2, 3, 4], 0, 1],
  [[1, 2, 3, 4], 1, 4],
])("percentile of %j at %d is %d", (sorted, share, expected) => {
  expect(percentile(sorted, share)).toBe(expected);
});
