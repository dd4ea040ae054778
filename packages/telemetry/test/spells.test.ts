import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Spells } from "../src/index.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
afterEach(() => void vi.useRealTimers());

function telling(spells: Spells) {
  const told: string[] = [];
  const note = (key: string): void =>
    spells.note(
      key,
      () => told.push(`${key} begins`),
      (lastedMs) => told.push(`${key} lasted ${lastedMs}`),
    );
  return { told, note };
}

test("a spell is told once when it begins and once when it is over, however often it is noted", () => {
  const spells = new Spells();
  const { told, note } = telling(spells);
  for (let at = 0; at < 100; at += 1) {
    note("a");
    vi.advanceTimersByTime(50);
  }
  note("b");
  vi.advanceTimersByTime(3_600_000);
  spells.over("a");
  spells.over("a");
  note("a");
  expect(told).toEqual(["a begins", "b begins", "a lasted 3605000", "a begins"]);
});

test("one that nobody notes any more is over by itself, and lasted until it was noted last", () => {
  const spells = new Spells({ overMs: 30_000 });
  const { told, note } = telling(spells);
  note("a");
  vi.advanceTimersByTime(20_000);
  note("a");
  vi.advanceTimersByTime(29_000);
  expect(told).toEqual(["a begins"]);
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual(["a begins", "a lasted 20000"]);
});

test("its end is told by nobody after the stop", () => {
  const spells = new Spells({ overMs: 1_000 });
  const { told, note } = telling(spells);
  note("a");
  spells.stop();
  spells.over("a");
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual(["a begins"]);
});
