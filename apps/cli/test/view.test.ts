import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { render, renderLine, type Snapshot } from "../src/dev/view.ts";

const snapshot: Snapshot = {
  elapsedMs: 12_400,
  lanes: [
    { lane: "critical", jobs: 6, waiting: 0, active: 1, failed: 0 },
    { lane: "bulk", jobs: 16, waiting: 10, active: 2, failed: 1 },
    { lane: "idle", jobs: 0, waiting: 0, active: 0, failed: 0 },
  ],
  workers: { running: 1, started: 2 },
  quota: { now: 1.25, average: 0.943, tokensPerMinute: 89_000 },
  calls: 9,
  throttled: 0,
  dead: 1,
  urls: { api: "http://127.0.0.1:1", board: "http://127.0.0.1:2" },
};

test("shows each lane, the quota, what went wrong and where to look", () => {
  const text = stripVTControlCharacters(render(snapshot));
  expect(text).toContain("Sluice   12 s  workers 1/2");
  expect(text).toMatch(/^critical +0 +1 +5\/6 {2}█{20}░{4}$/m);
  // A job that failed is done, though it waits for its dead letter.
  expect(text).toMatch(/^bulk +10 +2 +4\/16 {2}█{6}░{18}$/m);
  expect(text).toMatch(/^idle +0 +0 +0\/0 {2}█{24}$/m);
  expect(text).toMatch(/^quota {3}█{24} now +125\.0 % {2}average +94\.3 % of 89,000 tokens a minute$/m);
  expect(text).toContain("calls   9   throttled 0   dead letters 1");
  expect(text).toContain("board http://127.0.0.1:2   api http://127.0.0.1:1");
});

test("says it in one line where there is no terminal", () => {
  expect(renderLine(snapshot)).toBe(
    " 12 s  done critical 5/6, bulk 4/16, idle 0/0; quota 125.0 % now,  94.3 % on average; 0 throttled, 1 dead",
  );
});

test("never shows less than nothing done, when more is found in a lane than was counted", () => {
  const lanes = [{ lane: "bulk", jobs: 2, waiting: 3, active: 0, failed: 0 }];
  expect(renderLine({ ...snapshot, lanes })).toContain("done bulk 0/2;");
});
