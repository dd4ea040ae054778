import { newJobId } from "@sluice/job";
import { expect, test } from "vitest";
import type { SimulatedCall } from "../src/dev/evidence.ts";
import { makeReport, renderReport, type RunResult } from "../src/dev/report.ts";

const T0 = Date.UTC(2026, 0, 1);

function call(lane: string, startedAt: number, outcome = "completed"): SimulatedCall {
  const admitted = outcome === "completed";
  const requestMetadata = { jobId: newJobId("claude", lane, T0) };
  return {
    seq: 1,
    startedAt,
    endedAt: startedAt + 1,
    admitted,
    settledTokens: 900,
    outcome,
    requestMetadata,
  };
}

const result: RunResult = {
  lanes: new Map([
    ["critical", 2],
    ["bulk", 3],
    ["idle", 0],
  ]),
  states: { completed: 2, filtered: 1, dead: 1, unknown: 1 },
  calls: [
    call("critical", T0 + 10),
    call("critical", T0 + 20),
    call("bulk", T0 + 2_000),
    call("bulk", T0 + 500, "throttled"),
  ],
  tokensPerMinute: 60_000,
  durationMs: 2_500.4,
};

test("every job is in an end state or lost", () => {
  const { completed, filtered, dead, lost, jobs } = makeReport(result);
  expect({ completed, filtered, dead, lost, jobs }).toEqual({
    completed: 2,
    filtered: 1,
    dead: 1,
    lost: 1,
    jobs: 5,
  });
  expect(makeReport({ ...result, states: {} }).lost).toBe(5);
});

test("calls, throttles and waits are the simulator's", () => {
  const report = makeReport(result);
  expect(report).toMatchObject({ calls: 4, throttled: 1, durationMs: 2_500 });
  expect(report.lanes).toEqual({
    critical: { jobs: 2, waitMsP50: 10, waitMsP99: 20 },
    bulk: { jobs: 3, waitMsP50: 2_000, waitMsP99: 2_000 },
    idle: { jobs: 0, waitMsP50: 0, waitMsP99: 0 },
  });
  expect(report.quotaUtilisation).toBeCloseTo(2_700 / (2_000 + 985), 4);
});

test("a run that is too short to tell how much of the quota it used says so", () => {
  const report = makeReport({ ...result, calls: result.calls.slice(0, 1) });
  expect(report.quotaUtilisation).toBeNull();
  expect(renderReport(report, 60_000)).toContain(
    "How much of 60,000 tokens a minute was used is not measured: the run was too short",
  );
});

test("people get the same in a few lines", () => {
  const text = renderReport(makeReport(result), result.tokensPerMinute);
  expect(text).toContain("5 jobs in 2.5 s: 2 completed, 1 filtered, 1 dead, 1 lost");
  expect(text).toContain("4 calls, 1 throttled\n90.5 % of 60,000 tokens a minute used while jobs waited");
  expect(text).toMatch(/critical +2 jobs +waited 0\.0 s \(median\), 0\.0 s \(99th percentile\)/);
  expect(text.split("\n").filter(({ length }) => length > 80)).toEqual([]);
});

test("addresses are told while somebody answers there", () => {
  expect(makeReport(result)).not.toHaveProperty("urls");
  const urls = { api: "http://127.0.0.1:1", board: "http://127.0.0.1:2" };
  expect(makeReport({ ...result, urls }).urls).toEqual(urls);
});
