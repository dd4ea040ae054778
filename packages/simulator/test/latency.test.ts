import { expect, test } from "vitest";
import { baseline } from "../src/models/defaults.ts";
import { drawPace, generate, type Pace } from "../src/calls/generate.ts";
import { seeded } from "../src/random.ts";
import { virtualClock } from "./virtual-clock.ts";

const steady = { timeToFirstTokenMs: 500, tokensPerSecond: 100, sigma: 0 };

async function moments(
  tokens: number,
  step: number,
  timeScale = 1,
): Promise<[tokens: number, atMs: number][]> {
  const clock = virtualClock(0);
  const pace = drawPace(steady, timeScale, seeded(1));
  const seen: [number, number][] = [];
  for await (const done of generate(pace, tokens, step, clock, new AbortController().signal)) {
    seen.push([done, clock.now()]);
  }
  return seen;
}

function draw(seed: number): Pace[] {
  const random = seeded(seed);
  return Array.from({ length: 1_001 }, () => drawPace(baseline.latency, 1, random));
}

test("an answer takes the time to its first token and then grows with every token", async () => {
  expect(await moments(100, 40)).toEqual([
    [40, 900],
    [80, 1_300],
    [100, 1_500],
  ]);
});

test("the time scale multiplies every wait", async () => {
  expect(await moments(100, 100, 0.1)).toEqual([[100, 150]]);
  expect(await moments(100, 100, 0)).toEqual([[100, 0]]);
});

test("an answer without tokens takes the time of a first one", async () => {
  expect(await moments(0, 8)).toEqual([[0, 500]]);
});

test("the same seed draws the same speeds, spread around the medians", () => {
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  const firsts = draw(7)
    .map(({ firstTokenMs }) => firstTokenMs)
    .toSorted((left, right) => left - right);
  expect(firsts[500]).toBeGreaterThan(baseline.latency.timeToFirstTokenMs * 0.95);
  expect(firsts[500]).toBeLessThan(baseline.latency.timeToFirstTokenMs * 1.05);
  expect(firsts[990]).toBeGreaterThan(baseline.latency.timeToFirstTokenMs * 1.5);
});
