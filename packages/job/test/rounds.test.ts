import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Rounds } from "../src/index.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Rounds whose work ends when the test says so. */
function rounds(random = 0.5) {
  const ends: PromiseWithResolvers<void>[] = [];
  const errors: unknown[] = [];
  const work = async (): Promise<void> => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  };
  const onError = (error: unknown): void => void errors.push(error);
  return { ends, errors, rounds: new Rounds({ work, everyMs: 1_000, random: () => random, onError }) };
}

async function finish(end: PromiseWithResolvers<void> | undefined): Promise<void> {
  end?.resolve();
  await vi.advanceTimersByTimeAsync(0);
}

test("the first round comes at once, the next a pause after its end", async () => {
  const { ends, rounds: each } = rounds();
  each.start();
  expect(ends).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ends).toHaveLength(1);
  await finish(ends[0]);
  await vi.advanceTimersByTimeAsync(999);
  expect(ends).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toHaveLength(2);
});

test("or after a pause", async () => {
  const { ends, rounds: each } = rounds();
  each.startLater();
  await vi.advanceTimersByTimeAsync(999);
  expect(ends).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toHaveLength(1);
});

test.each([
  [0, 750],
  [0.999_999, 1_250],
])("a pause is three to five quarters of what was asked for: %d", async (random, ms) => {
  const { ends, rounds: each } = rounds(random);
  each.startLater();
  await vi.advanceTimersByTimeAsync(ms - 2);
  expect(ends).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(2);
  expect(ends).toHaveLength(1);
});

test("a nudge ends the pause; during a round it is kept for one more, however often", async () => {
  const { ends, rounds: each } = rounds();
  each.startLater();
  each.nudge();
  expect(ends).toHaveLength(1);
  each.nudge();
  each.nudge();
  expect(ends).toHaveLength(1);
  await finish(ends[0]);
  expect(ends).toHaveLength(2);
  await finish(ends[1]);
  expect(ends).toHaveLength(2);
});

test("what a round rejects with is told, and the next comes", async () => {
  const { ends, errors, rounds: each } = rounds();
  each.start();
  ends[0]?.reject(new Error("away"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(errors).toEqual([new Error("away")]);
  expect(ends).toHaveLength(2);
});

test("stop waits for the round under way, and none follows, not even for a nudge", async () => {
  const { ends, rounds: each } = rounds();
  each.start();
  each.nudge();
  let stopped = false;
  const stopping = each.stop().then(() => (stopped = true));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(stopped).toBe(false);
  await finish(ends[0]);
  await stopping;
  each.nudge();
  each.startLater();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(ends).toHaveLength(1);
});
