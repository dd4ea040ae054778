/** From calls to shares of a quota, and to the moment in which it is used again. */
import { newJobId } from "@sluice/job";
import { expect, test } from "vitest";
import type { SeenCall } from "../src/evidence.ts";
import { leastBulk, sharesOf, worse } from "../src/lanes/shares.ts";
import { fullAfter, usedSince } from "../src/sporadic/storm.ts";

function calls(lane: string, count: number, settledTokens: number): [string, SeenCall[]] {
  const rest = { seq: 1, operation: "Converse", model: "m", attempt: 1, fault: null, requestMetadata: null };
  const each = { ...rest, admitted: true, inputTokens: 0, outputTokens: 0, outcome: "completed" as const };
  return [
    newJobId("pool", lane, 0),
    Array.from({ length: count }, (_, index) => ({
      ...each,
      settledTokens,
      startedAt: index * 1_000,
      endedAt: 0,
    })),
  ];
}

test("a lane's share is its part of what both used, in the window alone", () => {
  const seen = new Map([calls("standard", 100, 900), calls("bulk", 100, 100), calls("critical", 100, 500)]);
  const window = { from: 20_000, to: 80_000 };
  expect(sharesOf(seen, "pool", window, 60_000)).toEqual({ bulk: 0.1, standard: 0.9, used: 1 });
  expect(sharesOf(seen, "other", window, 60_000)).toEqual({ bulk: 0, standard: 0, used: 0 });
});

test("bulk is owed its share less one job and the credit", () => {
  // 1,000 tokens a second for 100 s: 5 % are 5,000, less 1,000 of the job and 250 of the credit.
  expect(leastBulk(100_000, 1_000, 60_000)).toBeCloseTo(0.0375);
  expect(leastBulk(1_000, 6_000, 60_000)).toBe(0);
});

test("the worse of two is the one whose bulk is farther from its share", () => {
  const [fair, greedy, starved] = [0.052, 0.49, 0].map((bulk) => ({ bulk, standard: 1 - bulk, used: 1 }));
  if (fair === undefined || greedy === undefined || starved === undefined) throw new Error("Expected three");
  expect(worse(fair, greedy)).toBe(greedy);
  expect(worse(starved, fair)).toBe(starved);
});

test("the quota is used again at the end of the first ten seconds that are full", () => {
  // Nothing for 5 s, then twenty calls a second.
  const started = Array.from({ length: 600 }, (_, index) => ({ startedAt: 5_000 + index * 50 }));
  const used = usedSince(0, 30_000, started);
  expect(used.slice(0, 6)).toEqual([0.5, 0.6, 0.7, 0.8, 0.9, 1]);
  expect(fullAfter(used)).toBe(15);
  expect(fullAfter(used.slice(0, 3))).toBeNull();
});
