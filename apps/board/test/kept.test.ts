import { expect, test } from "vitest";
import { Kept } from "../src/kept.ts";

function given() {
  const time = { clock: 1_000_000, monotonic: 0 };
  let loads = 0;
  const kept = new Kept({
    load: async () => Promise.resolve((loads += 1)),
    maxAgeMs: 1_000,
    patienceMs: 100,
    clock: () => time.clock,
    monotonic: () => time.monotonic,
  });
  return { kept, time };
}

test.each([-600_000, 600_000])(
  "an answer is kept for its time, though the clock steps by %i ms meanwhile",
  async (step) => {
    const { kept, time } = given();
    expect(await kept.read()).toBe(1);
    time.clock += step;
    time.monotonic += 999;
    expect(await kept.read()).toBe(1);
    time.monotonic += 1;
    expect(await kept.read()).toBe(2);
    expect(kept.loadedAt).toBe(time.clock);
  },
);

test("what is outdated is asked for anew, and is still of when it came", async () => {
  const { kept, time } = given();
  await kept.read();
  kept.outdate();
  expect(kept.loadedAt).toBe(time.clock);
  expect(await kept.read()).toBe(2);
});
