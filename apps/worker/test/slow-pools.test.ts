/** What keeps pools from their quota is told once and taken back once, by a real limiter's states. */
import { createMemoryLimiter, lanesNamed } from "@sluice/limits";
import { emitter } from "@sluice/job";
import { Slots } from "@sluice/queue";
import { expect, onTestFinished, test, vi } from "vitest";
import { SlowPools } from "../src/slow-pools.ts";
import { toldAcquire } from "../src/told-slots.ts";

const POOL = "p";
const TICK_MS = 5;

async function started() {
  let now = 1_000_000;
  let looks = 0;
  const limiter = createMemoryLimiter({ now: () => now });
  await limiter.configure(POOL, { quota: { tokensPerMinute: 60_000 }, lanes: lanesNamed(["bulk"]) });
  const told: [string, object][] = [];
  const emit = emitter([(name, event) => void told.push([name, event])]);
  const slow = new SlowPools({
    scope: "main",
    pools: [POOL],
    inspect: async (pool) => {
      looks += 1;
      return limiter.inspect(pool);
    },
    emit,
    everyMs: TICK_MS,
    onError: (error) => told.push(["error", { error }]),
  });
  onTestFinished(() => slow.stop());
  slow.start();
  const looked = async (): Promise<void> => {
    const before = looks;
    // The one that is under way may be of the time before.
    await vi.waitFor(() => expect(looks).toBeGreaterThan(before + 1), some);
  };
  return { limiter, told, emit, slow, looked, pass: (ms: number) => void (now += ms) };
}

const some = { timeout: 5_000, interval: 2 };

test("a pool that takes no calls, whatever shuts it", async () => {
  const { limiter, told, pass } = await started();
  // After an outage the ceiling begins at half, which is told as well.
  const pools = () => told.filter(([name]) => name.startsWith("pool:"));
  const has = async (count: number): Promise<void> => {
    await vi.waitFor(() => expect(pools()).toHaveLength(count), some);
  };
  await limiter.operate(POOL, { type: "open", forMs: 30_000 });
  await has(1);
  await limiter.operate(POOL, { type: "close" });
  await has(2);
  await limiter.operate(POOL, { type: "isolate" });
  await has(3);
  pass(10);
  expect(pools()).toEqual([
    ["pool:shut", { pool: POOL, cause: "breaker", forMs: 30_000 }],
    ["pool:reopened", { pool: POOL, cause: "breaker", lastedMs: expect.any(Number) }],
    ["pool:shut", { pool: POOL, cause: "isolated", forMs: expect.any(Number) }],
  ]);
});

test("a breaker that turns into an isolation: each cause once, and the last one when it is over", async () => {
  const { limiter, told } = await started();
  const pools = () => told.filter(([name]) => name.startsWith("pool:"));
  const operate = async (type: "isolate" | "close", count: number): Promise<void> => {
    await limiter.operate(POOL, { type });
    await vi.waitFor(() => expect(pools()).toHaveLength(count), some);
  };
  await limiter.operate(POOL, { type: "open", forMs: 30_000 });
  await vi.waitFor(() => expect(pools()).toHaveLength(1), some);
  await operate("isolate", 2);
  await operate("close", 3);
  await operate("isolate", 4);
  expect(pools()).toMatchObject([
    ["pool:shut", { cause: "breaker" }],
    ["pool:shut", { cause: "isolated" }],
    ["pool:reopened", { cause: "isolated" }],
    ["pool:shut", { cause: "isolated" }],
  ]);
});

test("jobs that are too large for what is left of the day: once, and when another day has begun", async () => {
  const { told, slow, looked, pass } = await started();
  for (let job = 0; job < 50; job += 1) {
    slow.heardAtGate(POOL, { type: "open", cause: "day-rest", afterMs: 7_200_000 });
  }
  const short = ["quota:short", { pool: POOL, forMs: 7_200_000 }];
  await looked();
  expect(told).toEqual([short]);
  pass(24 * 3_600_000);
  await vi.waitFor(() => expect(told).toHaveLength(2), some);
  expect(told).toEqual([short, ["quota:renewed", { pool: POOL, lastedMs: expect.any(Number) }]]);
});

test("a ceiling that throttles have cut, until it has grown back", async () => {
  const { limiter, told, pass } = await started();
  for (const id of ["a", "b", "c", "d", "e", "f"]) {
    await limiter.admit({
      pool: POOL,
      lane: "bulk",
      id,
      job: id,
      cost: { requests: 1, tokens: 10 },
      ttlMs: 60_000,
    });
    await limiter.settle({
      pool: POOL,
      id,
      outcome: "throttled",
      throttledDimension: "tokens",
      actual: { tokens: 0 },
    });
    pass(1_500);
  }
  await vi.waitFor(() => expect(told).not.toEqual([]), some);
  const [name, event] = told[0] ?? [];
  expect(name).toBe("ceiling:cut");
  expect(event).toMatchObject({ pool: POOL, dimension: "tokens", perMinute: expect.any(Number) });
  for (let minute = 0; minute < 60; minute += 1) {
    const id = `g${minute}`;
    pass(60_000);
    await limiter.admit({
      pool: POOL,
      lane: "bulk",
      id,
      job: id,
      cost: { requests: 1, tokens: 10 },
      ttlMs: 60_000,
    });
    await limiter.settle({ pool: POOL, id, outcome: "ok", actual: { tokens: 10 } });
  }
  await vi.waitFor(() => expect(told.map(([what]) => what)).toContain("ceiling:restored"), some);
  expect(told.map(([what]) => what)).toEqual(["ceiling:cut", "ceiling:restored"]);
  expect(told[1]?.[1]).toMatchObject({ dimension: "tokens", lowest: expect.any(Number) });
});

test("the gate of this process, and the budget for retries: never a word per job", async () => {
  const { told, slow } = await started();
  for (let job = 0; job < 50; job += 1) slow.heardAtGate(POOL, { type: "open", cause: "local" });
  slow.heardAtGate(POOL, { type: "open", cause: "breaker" });
  slow.heardAtGate(POOL, { type: "granted" });
  for (let job = 0; job < 50; job += 1)
    slow.heardOfRetry(POOL, { retry: job % 2 === 0 ? "exhausted" : "granted" });
  expect(told).toEqual([
    ["gate:shut", { scope: "main" }],
    ["gate:opened", { scope: "main", lastedMs: expect.any(Number) }],
    ["retries:exhausted", { pool: POOL }],
  ]);
});

test("a lane that gets no slot for long says so once, and when it got one", async () => {
  const { told, emit } = await started();
  const slots = new Slots(["bulk"], 1);
  const acquire = toldAcquire(async (lane, signal) => slots.acquire(lane, signal), {
    pool: POOL,
    slots: 1,
    emit,
    longMs: 10,
  });
  const { signal } = new AbortController();
  const release = await acquire("bulk", signal);
  const next = acquire("bulk", signal);
  await vi.waitFor(
    () => expect(told).toEqual([["slots:full", { pool: POOL, lane: "bulk", slots: 1 }]]),
    some,
  );
  release?.();
  await next;
  expect(told[1]).toEqual(["slots:free", { pool: POOL, lane: "bulk", lastedMs: expect.any(Number) }]);
});
