import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startProgress } from "../src/dev/progress.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
afterEach(() => void vi.useRealTimers());

test("a step that takes long says so until the next one, or the end", () => {
  const told: string[] = [];
  const progress = startProgress((line) => told.push(line));
  progress.step("Fetching Redis");
  vi.advanceTimersByTime(20_000);
  progress.step("Starting");
  vi.advanceTimersByTime(9_999);
  progress.end();
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([
    "Fetching Redis",
    "  still at it after 10 s: Fetching Redis. Ctrl-C ends it",
    "  still at it after 20 s: Fetching Redis. Ctrl-C ends it",
    "Starting",
  ]);
});
