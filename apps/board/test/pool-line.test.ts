import { createMemoryLimiter, defaultLanes } from "@sluice/limits";
import { expect, test } from "vitest";
import { poolLine } from "../src/lanes/pool-line.ts";

const DECLARED = { tokensPerMinute: 1_000_000, requestsPerMinute: 600 };

test("a pool whose quota was set by hand says so, with both figures", async () => {
  const limiter = createMemoryLimiter();
  await limiter.configure("nova", { quota: DECLARED, lanes: defaultLanes });
  expect(poolLine(await limiter.inspect("nova"), DECLARED)).not.toContain("file");
  await limiter.setQuota("nova", { tokensPerMinute: 200_000, requestsPerMinute: null });
  const line = poolLine(await limiter.inspect("nova"), DECLARED);
  expect(line).toContain("Quota not as in the file: 200,000 tokens/min instead of 1,000,000");
  expect(line).toContain("Quota not as in the file: no limit requests/min instead of 600");
});
