/** The line before a gate that is shut: one job that has failed at most, beside those that have not. */
import { expect, test } from "vitest";
import { Line } from "../src/line.ts";

const never = new AbortController().signal;
const SHUT = { atOnce: false, shut: true };

test("while the pool is shut one job that has failed stays, and the next goes back once for each that has not", async () => {
  const line = new Line();
  expect(line.goesBack()).toBe(false);
  const leave = await line.enter(never, true);
  expect(line.goesBack()).toBe(false);
  line.passed(SHUT);
  expect(line.goesBack()).toBe(true);
  // Nobody else came: it would only pass all jobs of the lane through this process.
  expect(line.goesBack()).toBe(false);
  const fresh = line.enter(never, false);
  expect(line.goesBack()).toBe(true);
  leave();
  (await fresh)();
  void line.enter(never, false);
  expect(line.goesBack()).toBe(false);
});

test("nobody goes back from a pool that takes calls", async () => {
  const line = new Line();
  await line.enter(never, true);
  line.passed(SHUT);
  line.passed({ atOnce: false, shut: false });
  expect(line.goesBack()).toBe(false);
});
