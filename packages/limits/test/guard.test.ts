import { expect, it, onTestFinished, vi } from "vitest";
import { createMemoryLimiter, guardLimiter, type Limiter } from "../src/index.ts";
import { limits, POOL } from "./harness.ts";

const request = { pool: POOL, lane: "bulk", id: "a", job: "a", cost: { tokens: 1 }, ttlMs: 1_000 };

it("answers closed instead of rejecting while the limiter does not answer", async () => {
  const clock = { ms: 0 };
  const errors: unknown[] = [];
  const away: Limiter = {
    configure: async () => undefined,
    admit: async () => Promise.reject(new Error("Connection is closed.")),
    settle: async () => Promise.reject(new Error("Connection is closed.")),
  };
  const limiter = guardLimiter(away, { now: () => clock.ms, onUnanswered: (error) => errors.push(error) });
  expect(await limiter.admit(request)).toEqual({ type: "open", afterMs: 1_000, cause: "local" });
  clock.ms += 400;
  expect(await limiter.admit(request)).toEqual({ type: "open", afterMs: 600, cause: "local" });
  expect(errors).toHaveLength(1);
  await expect(limiter.settle({ pool: POOL, id: "a", outcome: "ok", actual: {} })).rejects.toThrow("closed");
});

it("leaves failures to the fleet's breaker, and closes every pool at once while Redis is away", async () => {
  const clock = { ms: 0 };
  const now = (): number => clock.ms;
  const twin = createMemoryLimiter({ now });
  await twin.configure(POOL, limits);
  const reachable = { redis: true };
  const limiter = guardLimiter(
    {
      ...twin,
      admit: async (asked) =>
        reachable.redis ? twin.admit(asked) : Promise.reject(new Error("Connection is closed.")),
    },
    { now },
  );
  // Four in a row are too few for the fleet's breaker, and this process has none of its own.
  for (const id of ["a", "b", "c", "d"]) {
    expect(await limiter.admit({ ...request, id, job: id })).toMatchObject({ type: "granted" });
    await limiter.settle({ pool: POOL, id, outcome: "failed", actual: {} });
  }
  expect(await limiter.admit({ ...request, id: "e" })).toMatchObject({ type: "granted" });
  reachable.redis = false;
  await limiter.admit({ ...request, id: "f" });
  expect(await limiter.admit({ ...request, pool: "other", id: "g" })).toMatchObject({ cause: "local" });
});

it("passes mistakes on", async () => {
  const limiter = guardLimiter(createMemoryLimiter());
  await expect(limiter.admit(request)).rejects.toThrow("not published");
});

it("does not stay closed for as long as the machine's clock is set back", async () => {
  let isAway = true;
  const twin = createMemoryLimiter();
  await twin.configure(POOL, limits);
  const admit: Limiter["admit"] = async (asked) =>
    isAway ? Promise.reject(new Error("Connection is closed.")) : twin.admit(asked);
  const limiter = guardLimiter({ ...twin, admit }, { unansweredMs: 20 });
  expect(await limiter.admit(request)).toMatchObject({ cause: "local" });
  isAway = false;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  await vi.waitFor(
    async () => expect(await limiter.admit(request)).toMatchObject({ type: "granted" }),
    1_000,
  );
});
