import { expect, it } from "vitest";
import { fits, misfit } from "../src/index.ts";

const limits = { quota: { tokensPerMinute: 10_000 } };

it("refuses a cost that no minute of the quota carries, and says so", () => {
  expect(misfit(limits, { tokens: 9_851 })).toBe(
    "Expected a cost of at most 9850 tokens (0.985 of the pool's 10000 per minute), got 9851: " +
      "shorten the prompt, lower `max_tokens` or raise the quota",
  );
  expect(fits(limits, { tokens: 9_851 })).toBe(false);
});

it.each([{ pace: 0.985 }, { share: 0.1 }])("accepts one request whatever little the quota is: %j", (part) => {
  const one = { quota: { requestsPerMinute: 1 }, ...part };
  expect(misfit(one, { requests: 1 })).toBeUndefined();
  expect(misfit(one, { requests: 2 })).toContain("at most 1 requests");
});

it("accepts what fits, and dimensions without a quota", () => {
  expect(misfit(limits, { tokens: 9_850, requests: 1e9 })).toBeUndefined();
});
