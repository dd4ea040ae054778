import { describe, expect, it } from "vitest";
import { createMemoryLimiter, defaultLanes, lanesNamed, type PoolLimits } from "../src/index.ts";

describe("lanesNamed", () => {
  it("gives the default names the default limits", () => {
    expect(lanesNamed(["critical", "standard", "bulk"])).toEqual(defaultLanes);
  });

  it("keeps the shares of any number of lanes below the whole", async () => {
    const names = Array.from({ length: 16 }, (_, i) => `lane-${i}`);
    const limiter = createMemoryLimiter();
    await limiter.configure("model", { quota: { tokensPerMinute: 1 }, lanes: lanesNamed(names) });
    expect((await limiter.inspect("model")).lanes.map(({ name }) => name)).toEqual(names);
  });
});

describe("configure", () => {
  const quota = { tokensPerMinute: 60_000 };
  const lane = { name: "only", horizonMs: 100, reserveMs: 0, share: 0 };
  const wrong: [string, PoolLimits][] = [
    ["`quota.tokensPerMinute` to be a number above 0", { quota: { tokensPerMinute: 0 }, lanes: [lane] }],
    ["`quota.tokensPerDay` to be a number above 0", { quota: { tokensPerDay: NaN }, lanes: [lane] }],
    ["`lanes` to be at least one lane", { quota, lanes: [] }],
    ["lanes with different names", { quota, lanes: [lane, lane] }],
    ["below 6000 ms, or shares would starve", { quota, lanes: [{ ...lane, horizonMs: 6_000 }] }],
    [
      "shares that add up to less than 1",
      { quota, lanes: [0.5, 0.5].map((share, i) => ({ ...lane, share, name: `${i}` })) },
    ],
    ["`share` to be a fraction above 0", { quota, lanes: [lane], share: 2 }],
    ["`burstMs` to be above 0", { quota, lanes: [lane], burstMs: 0 }],
    ["`ceiling.keep` to be a fraction below 1", { quota, lanes: [lane], ceiling: { keep: 1 } }],
    ["`breaker.openMs` to be a number above 0", { quota, lanes: [lane], breaker: { openMs: -1 } }],
  ];

  it.each(wrong)("expects %s", async (message, limits) => {
    await expect(createMemoryLimiter().configure("model", limits)).rejects.toThrow(message);
  });
});
