/** The plan of blameless faults, and what is made of two accounts of an arm. */
import type { Outcome } from "@sluice/job";
import { expect, test } from "vitest";
import { FAULTS } from "../src/blameless/faults.ts";
import { armFigures, sums } from "../src/blameless/figures.ts";
import { makeCases, poolsFile } from "../src/blameless/plan.ts";
import { boundOf, EXCEPTIONS, isLate, RECOVERY_S } from "../src/blameless/recovery.ts";
import { chosenFaults } from "../src/blameless/scenario.ts";
import type { SeenCall } from "../src/evidence.ts";
import type { Found } from "../src/records.ts";

const ALL = { sizes: [1, 10, 300], fleets: [1, 2] } as const;
const cases = makeCases(FAULTS, 7, ALL);

test("every fault meets every size on one worker and on two, but for those of one of two", () => {
  const met = cases.flatMap(({ fault, workers, arms }) =>
    arms.map(({ jobs }) => `${fault.name} ${workers} ${jobs}`),
  );
  const wanted = FAULTS.flatMap(({ name, workers }) =>
    (workers === "one" ? [2] : [1, 2]).flatMap((fleet) =>
      ALL.sizes.map((jobs) => `${name} ${fleet} ${jobs}`),
    ),
  );
  expect(met.toSorted()).toEqual(wanted.toSorted());
});

test("over its arms a fault meets both arrivals and every way of asking that can meet it", () => {
  for (const fault of FAULTS.filter(({ workers }) => workers !== "one")) {
    const arms = cases.filter((each) => each.fault === fault).flatMap((each) => each.arms);
    expect({
      fault: fault.name,
      arrivals: new Set(arms.map(({ arrival }) => arrival)),
      shapes: new Set(arms.map(({ shape }) => shape)),
      meetings: new Set(arms.map(({ jobs, arrival }) => `${jobs} ${arrival}`)).size,
    }).toEqual({
      fault: fault.name,
      arrivals: new Set(["steady", "trickling"]),
      shapes: new Set(fault.shapes),
      meetings: 6,
    });
  }
});

test("the same seed makes the same arms, another one others", () => {
  expect(makeCases(FAULTS, 7, ALL)).toEqual(cases);
  expect(makeCases(FAULTS, 8, ALL)).not.toEqual(cases);
});

test("no two pools share a model, and a fault of a scope has scopes of its own", () => {
  const arms = cases.flatMap((each) => each.arms);
  expect(new Set(arms.map(({ model }) => model)).size).toBe(arms.length);
  const { scopes, pools } = poolsFile(cases.filter(({ fault }) => fault.name === "expired"));
  expect(Object.keys(scopes)).toHaveLength(4);
  expect(Object.values(pools).map(({ scope }) => scope)).not.toContain("main");
});

test("faults are chosen by name, and a wrong name is said", () => {
  expect(chosenFaults(["refused", "expired"]).map(({ name }) => name)).toEqual(["expired", "refused"]);
  expect(() => chosenFaults(["refused", "tired"])).toThrow(/no fault tired/);
});

const USAGE = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 };
const answer = { text: "x", stopReason: "end_turn", model: "m", usage: USAGE, latencyMs: 1 };
const failure = { kind: "transient", errorClass: "ConnectionError", message: "" } as const;

function ended(over: object): Found {
  const base = { id: "job", tenant: "default", acceptedAt: 0, attempts: 1 };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the rest of the outcome is in `over`
  return { outcome: { ...base, ...over } as Outcome, lane: undefined, polls: undefined, letter: undefined };
}

function call(outcome: SeenCall["outcome"], startedAt: number, admitted = true): SeenCall {
  const rest = { seq: 1, operation: "Converse", model: "m", attempt: 1, fault: null, requestMetadata: null };
  const tokens = { settledTokens: 15, inputTokens: 10, outputTokens: 5 };
  return { ...rest, ...tokens, admitted, outcome, startedAt, endedAt: startedAt + 500 };
}

test("an arm is counted by what both sides saw", () => {
  const nothing = { outcome: undefined, lane: undefined, polls: undefined, letter: undefined };
  const arm = {
    ids: ["first", "late", "dead", "outbox", "gone", "filtered", "cancelled"],
    found: [
      ended({ outcome: "completed", endedAt: 1_000, answer }),
      ended({ outcome: "completed", endedAt: 33_500, answer }),
      ended({ outcome: "dead", endedAt: 9_000, failure }),
      { ...nothing, lane: "failed" as const },
      nothing,
      ended({ outcome: "filtered", endedAt: 2_000, answer }),
      ended({ outcome: "cancelled", endedAt: 2_000 }),
    ],
    faultEndedAt: 30_000,
    felt: 2,
  };
  const calls = new Map([
    ["first", [call("completed", 500)]],
    ["late", [call("throttled", 400, false), call("disconnected", 9_000), call("completed", 33_000)]],
  ]);
  const figures = armFigures(arm, calls);
  expect(figures).toEqual({
    jobs: 7,
    answered: 2,
    otherwise: 2,
    dead: 2,
    deadOf: { ConnectionError: 1, "(in the outbox)": 1 },
    lost: 1,
    paidTwice: 0,
    maxCalls: 3,
    maxPaidFor: 2,
    struck: 2,
    firstAnswerS: 3.5,
    drainedS: 3.5,
  });
  expect(sums([figures, figures])).toEqual({
    jobs: 14,
    dead: 4,
    lost: 2,
    paidTwice: 0,
    otherwise: 4,
  });
});

test("a call that begins after its job's answer was stored is paid twice, one that was out by then is not", () => {
  const arm = {
    ids: ["job"],
    found: [ended({ outcome: "completed", endedAt: 1_000, answer })],
    faultEndedAt: 0,
    felt: 0,
  };
  const paidTwice = (second: number): number =>
    armFigures(arm, new Map([["job", [call("completed", 500), call("completed", second)]]])).paidTwice;
  expect(paidTwice(900)).toBe(0);
  expect(paidTwice(1_001)).toBe(1);
});

test("an arm is late when it is answered after its bound, or never though jobs were left", () => {
  const arm = { fault: "unavailable", jobs: 10, firstAnswerS: RECOVERY_S, drainedS: 20 };
  expect(isLate(arm)).toBe(false);
  expect(isLate({ ...arm, firstAnswerS: RECOVERY_S + 0.1 })).toBe(true);
  expect(isLate({ ...arm, firstAnswerS: undefined })).toBe(true);
  // All were answered before the fault ended.
  expect(isLate({ ...arm, firstAnswerS: undefined, drainedS: undefined })).toBe(false);
});

test("the arms that may be back later are few, of faults that there are, and each says why", () => {
  const names = FAULTS.map(({ name }) => name);
  for (const { faults = [], withinS, reason } of EXCEPTIONS) {
    expect(names).toEqual(expect.arrayContaining([...faults]));
    expect(withinS).toBeGreaterThan(RECOVERY_S);
    expect(reason).not.toBe("");
  }
  const bounded = names.filter((fault) => boundOf({ fault, jobs: 10 }) === RECOVERY_S);
  expect(bounded.length).toBeGreaterThan(names.length * 0.7);
});
