import { newJobId } from "@sluice/job";
import { describe, expect, test } from "vitest";
import type { SimulatedCall } from "../src/dev/evidence.ts";
import { firstStart, percentile, quotaUtilisation, recentUtilisation, waitsOf } from "../src/dev/figures.ts";

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
  test("is settled tokens less the saved burst, over quota x the time between the first and last admission", () => {
    const calls = [0, 1, 2, 3, 4].map((second) => call({ startedAt: T0 + second * 1_000 }));
    // 5,000 settled, 985 of them saved up before; 4 s of 1,000.
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo((5_000 - 985) / 4_000);
  });

  test("knows a job by its first admitted call, and leaves out what starts after the last of these", () => {
    const jobId = newJobId("claude", "bulk", T0);
    const calls = [
      call({ jobId, admitted: false, settledTokens: 0, startedAt: T0 - 5_000 }),
      call({ jobId }),
      call({ startedAt: T0 + 2_000 }),
      call({ jobId, startedAt: T0 + 60_000 }),
    ];
    expect(quotaUtilisation(calls, PER_MINUTE)).toBeCloseTo((2_000 - 985) / 2_000);
  });

  test.each([
    ["no call", []],
    ["one job", [call()]],
    ["two jobs at the same instant", [call(), call()]],
    ["calls of nobody's job", [call({ requestMetadata: null }), call({ requestMetadata: {} })]],
  ])("is 0 for %s", (_, calls) => {
    expect(quotaUtilisation(calls, PER_MINUTE)).toBe(0);
  });
});

test("recentUtilisation counts calls by their end, within the window", () => {
  const calls = [call({ endedAt: T0 - 10_000 }), call({ endedAt: T0 - 9_999 }), call({ endedAt: T0 })];
  expect(recentUtilisation(calls, PER_MINUTE, T0, 10_000)).toBeCloseTo(0.2);
  expect(recentUtilisation(calls, PER_MINUTE, T0, 0)).toBe(0);
});

test("firstStart is the earliest, whatever ended first", () => {
  expect(firstStart([])).toBeUndefined();
  expect(firstStart([call({ startedAt: T0 + 5 }), call({ startedAt: T0 })])).toBe(T0);
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
