/** What is kept of a figure, and for how long, whatever becomes of the clock that is shown. */
import { expect, test } from "vitest";
import { Kept, PATIENCE_MS } from "../src/kept.ts";

const HOUR_MS = 3_600_000;

function given() {
  const time = { now: 1_800_000_000_000, monotonic: 0 };
  const store = { loads: 0, away: false };
  const kept = new Kept({
    load: async () => {
      if (store.away) throw new Error("no answer");
      return (store.loads += 1);
    },
    maxAgeMs: 1_000,
    patienceMs: PATIENCE_MS,
    clock: () => time.now,
    monotonic: () => time.monotonic,
  });
  return { kept, time, store };
}

test.each([
  ["set back", -HOUR_MS],
  ["ahead all at once", HOUR_MS],
])("an answer serves for its time, and no longer, when the clock is %s", async (_how, byMs) => {
  const { kept, time } = given();
  expect(await kept.read()).toBe(1);
  time.now += byMs;
  time.monotonic += 999;
  expect(await kept.read()).toBe(1);
  time.monotonic += 1;
  expect(await kept.read()).toBe(2);
  expect(kept.loadedAt).toBe(time.now);
});

test("when the last good answer came is known also after it may have become wrong", async () => {
  const { kept, time, store } = given();
  expect(kept.loadedAt).toBeUndefined();
  await kept.read();
  kept.outdate();
  store.away = true;
  expect(await kept.read()).toBe(1);
  expect(kept.problem).toBe("no answer");
  expect(kept.loadedAt).toBe(time.now);
});
