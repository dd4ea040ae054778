import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { render, renderLine, type Snapshot } from "../src/dev/view.ts";

const snapshot: Snapshot = {
  elapsedMs: 12_400,
  lanes: [
    { lane: "critical", jobs: 6, accepted: 6, waiting: 0, active: 1, failed: 0 },
    { lane: "bulk", jobs: 16, accepted: 16, waiting: 10, active: 2, failed: 1 },
    { lane: "idle", jobs: 0, accepted: 0, waiting: 0, active: 0, failed: 0 },
  ],
  workers: { running: 1, started: 2 },
  quota: { used: 0.943, tokensPerMinute: 89_000 },
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
  expect(text).toMatch(/^idle +0 +0 +0\/0 {2}░{24}$/m);
  expect(text).toMatch(/^quota {3}█{23}░ {2}94\.3 % of 89,000 tokens a minute$/m);
  expect(text).toContain("calls   9   throttled 0   dead letters 1");
  expect(text).toContain("board http://127.0.0.1:2   api http://127.0.0.1:1");
});

test("the last picture of a system that ends has no addresses", () => {
  const { urls: _, ...ending } = snapshot;
  const text = stripVTControlCharacters(render(ending));
  expect(text).not.toContain("http://");
  expect(text.endsWith("dead letters 1")).toBe(true);
});

test("says it in one line where there is no terminal", () => {
  expect(renderLine(snapshot)).toBe(
    " 12 s  done critical 5/6, bulk 4/16, idle 0/0; quota 94.3 % used; 0 throttled, 1 dead",
  );
});

test("never shows less than nothing done, when more is found in a lane than was counted", () => {
  const lanes = [{ lane: "bulk", jobs: 2, accepted: 2, waiting: 3, active: 0, failed: 0 }];
  expect(renderLine({ ...snapshot, lanes })).toContain("done bulk 0/2;");
});

test("before anything was accepted nothing is done, and nothing is said of the quota", () => {
  const lanes = [{ lane: "bulk", jobs: 16, accepted: 0, waiting: 0, active: 0, failed: 0 }];
  const first = { ...snapshot, lanes, quota: { used: undefined, tokensPerMinute: 89_000 } };
  const text = stripVTControlCharacters(render(first));
  expect(text).toMatch(/^bulk +0 +0 +0\/16 {2}░{24}$/m);
  expect(text).toMatch(/^quota {3}░{24} {2}not measured yet$/m);
  expect(renderLine(first)).toContain("done bulk 0/16; quota not measured yet;");
  const some = { lane: "bulk", jobs: 16, accepted: 5, waiting: 2, active: 1, failed: 0 };
  expect(renderLine({ ...first, lanes: [some] })).toContain("done bulk 2/16;");
});

test("no line is wider than a terminal of 80 columns", () => {
  const quota = { used: 1, tokensPerMinute: 12_345_678 };
  const lines = stripVTControlCharacters(render({ ...snapshot, quota })).split("\n");
  expect(lines.filter(({ length }) => length > 80)).toEqual([]);
});
