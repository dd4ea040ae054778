/** What a worker tells of its pools file, and of what an operator has set otherwise. */
import { createOperations, createQuotaLog } from "@sluice/limits";
import { expect, inject, test, vi } from "vitest";
import { startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

const POOL = "test";

const isEvent =
  (event: string) =>
  (line: Record<string, unknown>): boolean =>
    line["msg"] === event;

const isOverride = ({ msg }: { msg?: unknown }): boolean => msg === "quota:overridden";

test("what the file hardly means, and quotas that are not the file's with who has set them", async () => {
  const urls = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
  const poolKeys = { callTimeout: "50m", maxOutputTokens: 64_000 };
  await using fleet = await startFleet({ ...urls, latencyMs: 50, tokensPerMinute: 1_000_000, poolKeys });
  const first = await fleet.startWorker();
  const warning = await first.logged("the warning", ({ msg }) => msg === "config:warning");
  expect(warning).toMatchObject({ path: `pools.${POOL}.callTimeout`, line: 1 });
  await first.logged("its start", ({ msg }) => msg === "worker:started");
  expect(first.text).not.toContain("quota:overridden");

  const from = (await fleet.limiter.inspect(POOL)).limits.quota;
  const to = { tokensPerMinute: 5_000_000 };
  // As `sluice quota set` does: first the entry.
  await createQuotaLog(fleet.redis, fleet.keySpace).add(POOL, { atMs: Date.now(), by: "anna", from, to });
  await fleet.limiter.setQuota(POOL, to);

  const told = {
    by: "anna",
    quotas: [{ quota: "tokensPerMinute", inForce: 5_000_000, declared: 1_000_000, far: true }],
  };
  const act = { by: "anna", from: "ops@desk", action: "breaker isolate" };
  const operations = createOperations(fleet.redis, fleet.keySpace);
  await operations.record(POOL, act, async () => fleet.limiter.operate(POOL, { type: "isolate" }));
  for (const phase of ["intent", "done"]) {
    const isIt = (line: Record<string, unknown>): boolean =>
      line["msg"] === "operator:acted" && line["phase"] === phase;
    expect(await first.logged("what was done by hand", isIt)).toMatchObject({ pool: POOL, ...act });
  }

  // What lasts is told when it begins, and when it is over.
  expect(await first.logged("that it takes no calls", isEvent("pool:shut"))).toMatchObject({
    pool: POOL,
    cause: "isolated",
  });
  await fleet.limiter.operate(POOL, { type: "close" });
  expect(await first.logged("that it takes calls again", isEvent("pool:reopened"))).toMatchObject({
    pool: POOL,
    cause: "isolated",
    lastedMs: expect.any(Number),
  });
  expect(first.lines.filter(isEvent("pool:shut"))).toHaveLength(1);

  // The one that runs hears of it, the next one finds it.
  expect(await first.logged("the override", isOverride)).toMatchObject(told);
  const second = await fleet.startWorker();
  expect(await second.logged("the override", isOverride)).toMatchObject(told);
});
