import { describe, expect, test } from "vitest";
import { madeBy, quotaOverrides, type Quota, type QuotaEntry } from "../src/index.ts";

describe("quotaOverrides", () => {
  const declared: Quota = { tokensPerMinute: 1_000, requestsPerMinute: 60 };

  test("equal quotas are none", () => {
    expect(quotaOverrides({ ...declared }, declared)).toEqual([]);
  });

  test.each<[Quota, boolean]>([
    [{ ...declared, tokensPerMinute: 2_000 }, false],
    [{ ...declared, tokensPerMinute: 2_001 }, true],
    [{ ...declared, tokensPerMinute: 500 }, false],
    [{ ...declared, tokensPerMinute: 499 }, true],
    [{ tokensPerMinute: 1_000 }, true],
    [{ ...declared, tokensPerDay: 1e9 }, true],
  ])("%j is far off: %s", (inForce, far) => {
    expect(quotaOverrides(inForce, declared)).toEqual([expect.objectContaining({ far })]);
  });

  test("what is not limited is null", () => {
    expect(quotaOverrides({ tokensPerMinute: 1_000 }, declared)).toEqual([
      { quota: "requestsPerMinute", inForce: null, declared: 60, far: true },
    ]);
  });
});

describe("madeBy", () => {
  const entry: QuotaEntry = {
    atMs: 1,
    by: "anna@desk",
    from: { tokensPerMinute: 1 },
    to: { tokensPerMinute: 2, requestsPerMinute: 3 },
  };

  test("the newest entry, when the quotas are what it made them", () => {
    expect(madeBy([entry], { requestsPerMinute: 3, tokensPerMinute: 2 })).toBe(entry);
  });

  test("nobody, when the file has come after it, or nothing was ever set", () => {
    expect(madeBy([entry], { tokensPerMinute: 1 })).toBeUndefined();
    expect(madeBy([], { tokensPerMinute: 1 })).toBeUndefined();
  });
});
