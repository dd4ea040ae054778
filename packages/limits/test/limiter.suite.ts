/** What every limiter does, whatever it keeps its state in. Run for memory and for Redis. */
import { describe, expect, it } from "vitest";
import { defaultLanes, type Cost, type Limiter, type PoolLimits } from "../src/index.ts";

/** A limiter in virtual time. */
export interface Subject {
  readonly limiter: Limiter;
  readonly clock: { ms: number };
  readonly pool: string;
}

/** 985 tokens/s and 9.85 requests/s after the pace. */
const limits: PoolLimits = {
  quota: { tokensPerMinute: 60_000, requestsPerMinute: 600 },
  lanes: defaultLanes,
};
const START = 1_800_000_000_000;

const ask = async ({ limiter, pool }: Subject, id: string, lane: string, tokens: number) =>
  limiter.admit({ pool, lane, id, cost: { tokens, requests: 1 }, ttlMs: 1_000 });
const settle = async ({ limiter, pool }: Subject, id: string, actual: Cost) =>
  limiter.settle({ pool, id, outcome: "ok", actual });

export function limiterSuite(name: string, create: (now: () => number) => Promise<Limiter> | Limiter): void {
  const subject = async (declared: PoolLimits = limits): Promise<Subject> => {
    const clock = { ms: START };
    const limiter = await create(() => clock.ms);
    await limiter.configure("model", declared);
    return { limiter, clock, pool: "model" };
  };
  describe(`limiter in ${name}`, () => {
    it("starts with one second of quota in hand", async () => {
      const s = await subject();
      expect(await ask(s, "a", "bulk", 985)).toEqual({ type: "granted", waitMs: 0 });
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
      expect(await ask(s, "c", "bulk", 985)).toMatchObject({ type: "wait" });
    });

    it("refills at 0.985 of the quota", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985 * 2);
      s.clock.ms += 500;
      expect(await ask(s, "b", "critical", 985 * 4)).toEqual({ type: "granted", waitMs: 1_500 });
    });

    it("gives the same grant to the same id and reserves nothing twice", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985);
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
      s.clock.ms += 400;
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 600 });
    });

    it("returns what was reserved and not used, once", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985 * 3);
      expect(await settle(s, "a", { tokens: 985 })).toMatchObject({ type: "settled" });
      expect(await settle(s, "a", { tokens: 0 })).toMatchObject({ type: "late" });
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("goes into debt when a call used more than it reserved", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985);
      await settle(s, "a", { tokens: 985 * 11 });
      expect(await ask(s, "b", "bulk", 1)).toMatchObject({ type: "wait" });
      s.clock.ms += 10_000;
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("limits requests beside tokens", async () => {
      const s = await subject();
      for (let i = 0; i < 9; i++) await ask(s, `a${i}`, "bulk", 1);
      expect(await ask(s, "b", "bulk", 1)).toMatchObject({ type: "granted", waitMs: 16 });
    });

    it("lets critical pass a backlog that stops the others", async () => {
      const s = await subject();
      for (let i = 0; i < 30; i++) await ask(s, `s${i}`, "standard", 300);
      expect(await ask(s, "s", "standard", 300)).toMatchObject({ type: "wait" });
      expect(await ask(s, "c", "critical", 300)).toEqual({ type: "granted", waitMs: 0 });
    });

    it("tells every denied waiter a time of its own", async () => {
      const s = await subject();
      for (let i = 0; i < 10; i++) await ask(s, `a${i}`, "critical", 985);
      const returns = await Promise.all([1, 2, 3].map(async (i) => ask(s, `w${i}`, "critical", 985)));
      const times = returns.map((answer) => (answer.type === "wait" ? answer.afterMs : 0));
      expect(new Set(times).size).toBe(3);
      expect(Math.min(...times)).toBeGreaterThan(0);
    });

    it("drops the reservation of a dead worker without a refund", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985);
      s.clock.ms += 1_001;
      await ask(s, "b", "bulk", 1);
      expect(await settle(s, "a", { tokens: 0 })).toMatchObject({ type: "late" });
    });

    it("follows a clock that steps back, and refills nothing for the jump", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985 * 2);
      s.clock.ms -= 3_600_000;
      expect(await ask(s, "b", "critical", 985 * 3)).toEqual({ type: "granted", waitMs: 1_000 });
      s.clock.ms += 1_000;
      expect(await ask(s, "c", "critical", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("limits only the dimensions that have a quota", async () => {
      const s = await subject({ quota: { inputTokensPerMinute: 60_000 }, lanes: defaultLanes });
      const cost = { tokens: 1e9, requests: 1e9, "input-tokens": 985 };
      const admit = async (id: string) =>
        s.limiter.admit({ pool: s.pool, lane: "bulk", id, cost, ttlMs: 1_000 });
      expect(await admit("a")).toEqual({ type: "granted", waitMs: 0 });
      expect(await admit("b")).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("takes changed limits at once and keeps what was promised", async () => {
      const s = await subject();
      await ask(s, "a", "bulk", 985);
      await s.limiter.configure(s.pool, { ...limits, quota: { tokensPerMinute: 120_000 } });
      expect(await ask(s, "b", "bulk", 985)).toEqual({ type: "granted", waitMs: 500 });
    });

    it("says what is wrong with an unknown pool, lane or limit", async () => {
      const s = await subject();
      await expect(ask({ ...s, pool: "other" }, "a", "bulk", 1)).rejects.toThrow("pool 'other'");
      await expect(ask(s, "a", "express", 1)).rejects.toThrow(
        "one of critical, standard, bulk, got 'express'",
      );
      await expect(s.limiter.configure("model", { ...limits, pace: 2 })).rejects.toThrow("`pace`");
    });
  });
}
