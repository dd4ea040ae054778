/** Calls that hang keep their slots; a few beyond them find out when the service answers again. */
import type { JobRequest } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { HungCalls, type CallResult, type Model } from "../src/index.ts";
import { answered, failed } from "./fakes.ts";

const SECOND = 1_000;

/** A model before some slots, with as many jobs as there are calls free, in steps of 100 ms. */
function saturated(total: number, ends: (startedAt: number) => { at: number; as?: CallResult }) {
  let now = 0;
  const due: { at: number; end: () => void }[] = [];
  const started: { at: number; beyond: boolean }[] = [];
  const answers: number[] = [];
  let out = 0;
  const slots = { total, blocked: true, extra: 0 };
  const hung = new HungCalls({ slots, kept: 0, clock: () => now });
  const model: Model = hung.watch({
    call: async () => {
      const { at, as = answered } = ends(now);
      const { promise, resolve } = Promise.withResolvers<CallResult>();
      due.push({
        at,
        end: () => {
          if (as.type === "answered") answers.push(now);
          resolve(as);
        },
      });
      return promise;
    },
    budgetMs: () => 120 * SECOND,
    reserve: () => ({}),
    settled: () => ({}),
    unfinished: () => ({}),
    learn: () => {},
  });
  const work: JobRequest = { kind: "converse", request: { messages: [], maxTokens: 1 } };
  return {
    started,
    answers,
    async until(ms: number): Promise<void> {
      for (; now < ms; now += 100) {
        while (out < total + slots.extra) {
          started.push({ at: now, beyond: out >= total });
          out += 1;
          void model
            .call(work, {
              jobId: "job",
              lane: "bulk",
              signal: new AbortController().signal,
              onText: () => {},
            })
            .then(() => (out -= 1));
        }
        if (now % SECOND === 0) hung.check();
        const ending = due.filter(({ at }) => at <= now);
        for (const each of ending) {
          due.splice(due.indexOf(each), 1);
          each.end();
        }
        // oxlint-disable-next-line no-await-in-loop -- one step of time after the other.
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    beyond: () => started.filter((each) => each.beyond),
  };
}

const timeout = failed("timeout");

/** Answers within 300 ms, but for what starts between: that is never answered. */
const hole =
  (from: number, to: number) =>
  (at: number): { at: number; as?: CallResult } =>
    at + 300 > from && at < to ? { at: at + 122_500, as: timeout } : { at: at + 300 };

describe("a service that swallows calls", () => {
  test.each([
    { total: 16, withinMs: 9 * SECOND },
    { total: 32, withinMs: 7 * SECOND },
    { total: 4, withinMs: 32 * SECOND },
  ])("for 30 s is found out of within $withinMs ms after, with $total slots", async ({ total, withinMs }) => {
    const s = saturated(total, hole(10 * SECOND, 40 * SECOND));
    await s.until(100 * SECOND);
    const [first = Infinity] = s.answers.filter((at) => at > 40 * SECOND);
    expect(first - 40 * SECOND).toBeLessThan(withinMs);
    // A quarter of the slots goes on beside those that hang.
    const rest = s.answers.filter((at) => at > first);
    expect(rest.length).toBeGreaterThan(((100 * SECOND - first) / 400) * Math.floor(total / 4) * 0.9);
  });

  test("and never answers again gets a quarter of the slots beyond them in half a minute", async () => {
    const s = saturated(16, hole(10 * SECOND, Infinity));
    await s.until(130 * SECOND);
    const beyond = s.beyond().map(({ at }) => at);
    for (const from of beyond) {
      expect(beyond.filter((at) => at >= from && at < from + 30 * SECOND).length).toBeLessThanOrEqual(4);
    }
    expect(beyond.length).toBeGreaterThan(8);
  });

  test("has its slots back when all that hung is over", async () => {
    const s = saturated(16, hole(10 * SECOND, 40 * SECOND));
    await s.until(180 * SECOND);
    expect(s.beyond().filter(({ at }) => at > 170 * SECOND)).toEqual([]);
    expect(s.answers.filter((at) => at > 170 * SECOND).length).toBeGreaterThan(16 * 20);
  });
});

describe("a model that is merely slow", () => {
  test("gets a quarter of its slots more while nobody knows what it takes, and then none", async () => {
    const s = saturated(16, (at) => ({ at: at + 60 * SECOND }));
    await s.until(59 * SECOND);
    expect(s.beyond()).toHaveLength(4);
    await s.until(300 * SECOND);
    expect(s.beyond().filter(({ at }) => at > 130 * SECOND)).toEqual([]);
  });

  test.each([300, 8_000])("of %d ms gets none", async (tookMs) => {
    const s = saturated(16, (at) => ({ at: at + tookMs }));
    await s.until(60 * SECOND);
    expect(s.beyond()).toEqual([]);
  });
});
