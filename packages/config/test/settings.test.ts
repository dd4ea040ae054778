/** The limiter's settings in the pools file, and how they reach the limiter. */
import { createMemoryLimiter, defaults, defaultLanes } from "@sluice/limits";
import { expect, test } from "vitest";
import { parsePools, poolLimits, PoolsFileError } from "../src/index.ts";

function file(keys: object): string {
  const pool = {
    scope: "main",
    model: "us.amazon.nova-pro-v1:0",
    quota: { tokensPerMinute: 1_000_000 },
    ...keys,
  };
  return JSON.stringify({ scopes: { main: { region: "us-east-1" } }, pools: { nova: pool } });
}

function limitsOf(keys: object) {
  const { pools, scopes } = parsePools(file(keys), "pools.yaml");
  const { nova } = pools;
  const { main } = scopes;
  if (nova === undefined || main === undefined) throw new Error("Expected the file to have both");
  return poolLimits(nova, main);
}

test("a file without settings says nothing but quota, share and lanes", () => {
  expect(limitsOf({})).toEqual({ quota: { tokensPerMinute: 1_000_000 }, share: 1, lanes: defaultLanes });
});

test("lanes keep what is measured for their place, but for what they say themselves", () => {
  const lanes = ["now", { name: "soon", share: 0.3 }, { name: "later", horizonMs: 200, reserveMs: 5 }];
  expect(limitsOf({ lanes }).lanes).toEqual([
    { name: "now", horizonMs: 2_000, reserveMs: 3_000, share: 0 },
    { name: "soon", horizonMs: 500, reserveMs: 0, share: 0.3 },
    { name: "later", horizonMs: 200, reserveMs: 5, share: 0.05 },
  ]);
  expect(parsePools(file({ lanes }), "").pools["nova"]?.lanes).toEqual(["now", "soon", "later"]);
});

test("pace, ceiling and breaker reach the limiter, which takes them", async () => {
  const settings = { pace: 0.9, ceiling: { keep: 0.7 }, breaker: { openMs: 2_000 } };
  const limits = limitsOf(settings);
  expect(limits).toMatchObject(settings);
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", limits);
  expect((await limiter.inspect("nova")).limits).toEqual(limits);
});

test.each(["ceiling", "breaker"] as const)("every setting of the %s may be set to its default", (group) => {
  expect(limitsOf({ [group]: defaults[group] })[group]).toEqual(defaults[group]);
});

test.each<[object, string, string]>([
  [{ pace: 1.5 }, "pace", "a fraction above 0 and at most 1, got 1.5"],
  [{ pace: "fast" }, "pace", 'a number, got "fast"'],
  [{ ceiling: { keep: 1 } }, "ceiling.keep", "a fraction below 1, got 1"],
  [{ ceiling: 3 }, "ceiling", "a mapping of settings to numbers, got 3"],
  [{ breaker: { openMs: -1 } }, "breaker.openMs", "a number above 0, got -1"],
  [{ breaker: { openS: 1 } }, "breaker.openS", "not to be there: the keys are minimumCalls, "],
  [{ lanes: ["a", { name: "b", shares: 1 }] }, "lanes.1.shares", "the keys are name, horizonMs"],
  [{ lanes: ["a", { share: 0.1 }] }, "lanes.1.name", "lower case letters"],
  [{ lanes: ["a", 3] }, "lanes.1", "the name of a lane, or a mapping"],
  [{ lanes: [{ name: "a", share: 1 }] }, "lanes.0.share", "at least 0 and below 1, got 1"],
  [
    { lanes: [{ name: "a", horizonMs: 4_000, reserveMs: 4_000 }] },
    "lanes",
    "`a` has horizonMs + reserveMs below 6000 ms",
  ],
  [{ lanes: [{ name: "a", share: 0.97 }, "b"] }, "lanes", "shares that add up to less than 1"],
])("%j is refused", (keys, path, message) => {
  let found: unknown;
  try {
    parsePools(file(keys), "pools.yaml");
  } catch (error) {
    found = error;
  }
  if (!(found instanceof PoolsFileError)) throw new Error(`Expected a problem, got ${String(found)}`);
  expect(found.problems.map((problem) => problem.path)).toEqual([`pools.nova.${path}`]);
  expect(found.problems[0]?.message).toContain(message);
});
