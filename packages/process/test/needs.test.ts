import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Needs, type Need } from "../src/index.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world(...needs: Need[]) {
  const told: string[] = [];
  const watching = new Needs({
    needs,
    onLacking: (need, why) => told.push(`${need} lacks: ${why}`),
    onFound: (need) => told.push(`${need} found`),
    everyMs: 1_000,
  });
  return { told, watching };
}

/** Rejects so many times, for a reason with another number each time. */
function after(name: string, times: number): Need & { asked: () => number } {
  let asked = 0;
  return {
    name,
    asked: () => asked,
    check: async () => {
      asked += 1;
      if (asked <= times) throw new Error(`no ${asked}`);
    },
  };
}

test("what is there is not told, what is not is told once, and once more when it is found", async () => {
  const [there, late] = [after("table", 0), after("credentials", 5)];
  const { told, watching } = world(there, late);
  watching.start();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(told).toEqual(["credentials lacks: no 1"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["credentials lacks: no 1", "credentials found"]);
  expect([there.asked(), late.asked()]).toEqual([1, 6]);
});

test("each reason is told once, however often they take turns", async () => {
  const reasons = ["refused", "refused", "no such table", "refused", "no such table"];
  const need = {
    name: "table",
    check: async () => {
      const reason = reasons.shift();
      if (reason !== undefined) throw new Error(reason);
    },
  };
  const { told, watching } = world(need);
  watching.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["table lacks: refused", "table lacks: no such table", "table found"]);
});

test("nothing is looked for, or told, after the end", async () => {
  const never = after("table", Infinity);
  const { told, watching } = world(never);
  watching.start();
  watching.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual([]);
  expect(never.asked()).toBe(1);
});
