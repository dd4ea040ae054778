import { describe, expect, test } from "vitest";
import { baseline } from "../src/models/defaults.ts";
import type { Model } from "../src/models/model.ts";
import { createDailyWindow, createMeter, type Meter, type Reservation } from "../src/quota/meter.ts";

const MINUTE = 60_000;

function meterOf(model: Partial<Model>): Meter {
  return createMeter({ ...baseline, tokensPerMinute: 6_000, ...model }, null, 0);
}

function admit(meter: Meter, atMs: number, tokens: number): Reservation {
  const admission = meter.admit(atMs, tokens);
  if (!admission.admitted) throw new Error(`Expected admission, got ${admission.throttledBy}`);
  return admission.reservation;
}

const byTokens = { admitted: false, throttledBy: "tokens" };

describe("a bucket", () => {
  test("starts full, refills at the quota's rate and holds no more than its capacity", () => {
    const meter = meterOf({});
    admit(meter, 0, 6_000);
    expect(meter.admit(0, 1)).toEqual(byTokens);
    expect(meter.admit(999, 100)).toEqual(byTokens);
    admit(meter, 1_000, 100);
    admit(meter, 5 * MINUTE, 6_000);
    expect(meter.admit(5 * MINUTE, 1)).toEqual(byTokens);
  });

  test("goes into debt when a call settles above its reservation, and works it off", () => {
    const meter = meterOf({});
    const reservation = admit(meter, 0, 6_000);
    meter.settle(0, reservation, 7_000);
    expect(meter.admit(10_000, 1)).toEqual(byTokens);
    admit(meter, 10_010, 1);
  });

  test("gets back what a call did not use", () => {
    const meter = meterOf({});
    meter.settle(0, admit(meter, 0, 6_000), 1_000);
    admit(meter, 0, 5_000);
    expect(meter.admit(0, 1)).toEqual(byTokens);
  });

  test("a steady stranger takes its share of the refill", () => {
    const meter = meterOf({ strangerShare: 0.5 });
    admit(meter, 0, 6_000);
    expect(meter.admit(1_000, 51)).toEqual(byTokens);
    admit(meter, 1_000, 50);
  });
});

describe("a fixed window", () => {
  test("is full again at the boundary, however late it was used", () => {
    const meter = meterOf({ window: "fixed" });
    admit(meter, MINUTE - 1, 6_000);
    expect(meter.admit(MINUTE - 1, 1)).toEqual(byTokens);
    admit(meter, MINUTE, 6_000);
  });

  test("a refund after the boundary is moot, an excess counts where it falls", () => {
    const meter = meterOf({ window: "fixed" });
    const early = admit(meter, 0, 3_000);
    const late = admit(meter, 0, 3_000);
    meter.settle(MINUTE, early, 0);
    expect(meter.admit(MINUTE, 6_001)).toEqual(byTokens);
    meter.settle(MINUTE, late, 4_000);
    expect(meter.admit(MINUTE, 5_001)).toEqual(byTokens);
    admit(meter, MINUTE, 5_000);
  });
});

describe("a sliding window", () => {
  test("gets each call back exactly one window later", () => {
    const meter = meterOf({ window: "sliding" });
    admit(meter, 0, 4_000);
    admit(meter, 30_000, 2_000);
    expect(meter.admit(MINUTE - 1, 1)).toEqual(byTokens);
    admit(meter, MINUTE, 4_000);
    expect(meter.admit(MINUTE, 1)).toEqual(byTokens);
  });
});

test("a steady stranger takes its share of a fixed window bit by bit, of a sliding one always", () => {
  const fixed = meterOf({ window: "fixed", strangerShare: 0.5 });
  expect(fixed.admit(30_000, 4_501)).toEqual(byTokens);
  admit(fixed, 30_000, 4_500);
  const sliding = meterOf({ window: "sliding", strangerShare: 0.5 });
  expect(sliding.admit(30_000, 3_001)).toEqual(byTokens);
  admit(sliding, 30_000, 3_000);
});

test("the run-down charges only what outgrows the reservation, and only once", () => {
  const meter = meterOf({});
  let reservation = admit(meter, 0, 1_000);
  reservation = meter.runDown(0, reservation, 900);
  admit(meter, 0, 5_000);
  reservation = meter.runDown(0, reservation, 1_300);
  meter.settle(0, reservation, 1_500);
  expect(meter.admit(5_000, 1)).toEqual(byTokens);
  admit(meter, 5_010, 1);
});

test("requests have a quota of their own, which a settlement does not give back", () => {
  const meter = meterOf({ requestsPerMinute: 1 });
  meter.settle(0, admit(meter, 0, 10), 0);
  expect(meter.admit(0, 10)).toEqual({ admitted: false, throttledBy: "requests" });
});

test("an account without quota hears the per-day message", () => {
  expect(meterOf({ tokensPerMinute: 0 }).admit(0, 1)).toEqual({
    admitted: false,
    throttledBy: "tokens-per-day",
  });
});

test("tokens per day are shared by all models of a Region", () => {
  const day = createDailyWindow(1_000, 0);
  const [one, other] = [createMeter(baseline, day, 0), createMeter(baseline, day, 0)];
  one.settle(0, admit(one, 0, 800), 600);
  expect(other.admit(0, 401)).toEqual({ admitted: false, throttledBy: "tokens-per-day" });
  admit(other, 0, 400);
  admit(other, 24 * 60 * MINUTE, 1_000);
});
