/** Quota, reservations and tickets: what every limiter does, whatever it keeps its state in. */
import { describe, expect, it } from "vitest";
import { defaultLanes } from "../src/index.ts";
import { limits, POOL, Subject, type Create } from "./harness.ts";

export function limiterSuite(name: string, create: Create): void {
  describe(`limiter in ${name}`, () => {
    it("starts with one second of quota in hand", async () => {
      const s = await Subject.create(create);
      expect(await s.ask("a", "bulk", 985)).toEqual({ type: "granted", waitMs: 0 });
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
      expect(await s.ask("c", "bulk", 985)).toMatchObject({ type: "wait" });
    });

    it("refills at 0.985 of the quota", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985 * 2);
      s.clock.ms += 500;
      expect(await s.ask("b", "critical", 985 * 4)).toEqual({ type: "granted", waitMs: 1_500 });
    });

    it("gives the same grant to the same id and reserves nothing twice", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985);
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
      s.clock.ms += 400;
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 600 });
    });

    it("returns what was reserved and not used, once", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985 * 3);
      expect(await s.settle("a", "ok", { actual: { tokens: 985 } })).toMatchObject({ type: "settled" });
      expect(await s.settle("a", "ok", { actual: { tokens: 0 } })).toMatchObject({ type: "late" });
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("goes into debt when a call used more than it reserved", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985);
      await s.settle("a", "ok", { actual: { tokens: 985 * 11 } });
      expect(await s.ask("b", "bulk", 1)).toMatchObject({ type: "wait" });
      s.clock.ms += 10_000;
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("limits requests beside tokens", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 9; i++) await s.ask(`a${i}`, "bulk", 1);
      expect(await s.ask("b", "bulk", 1)).toMatchObject({ type: "granted", waitMs: 16 });
    });

    it("lets critical pass a backlog that stops the others", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 30; i++) await s.ask(`s${i}`, "standard", 300);
      expect(await s.ask("s", "standard", 300)).toMatchObject({ type: "wait" });
      expect(await s.ask("c", "critical", 300)).toEqual({ type: "granted", waitMs: 0 });
    });

    it("tells every denied waiter a time of its own", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 10; i++) await s.ask(`a${i}`, "critical", 985);
      const returns = await Promise.all([1, 2, 3].map(async (i) => s.ask(`w${i}`, "critical", 985)));
      const times = returns.map((answer) => (answer.type === "wait" ? answer.afterMs : 0));
      expect(new Set(times).size).toBe(3);
      expect(Math.min(...times)).toBeGreaterThan(0);
    });

    it("drops the reservation of a dead worker without a refund", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985);
      s.clock.ms += 180_001;
      await s.ask("b", "bulk", 1);
      expect(await s.settle("a", "ok", { actual: { tokens: 0 } })).toMatchObject({ type: "late" });
    });

    it("follows a clock that steps back, and refills nothing for the jump", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985 * 2);
      s.clock.ms -= 3_600_000;
      expect(await s.ask("b", "bulk", 985)).toMatchObject({ type: "wait" });
      s.clock.ms += 1_000;
      expect(await s.ask("c", "bulk", 985)).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("repeats a grant with no longer a wait than the backlog, though the clock stepped back", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985 * 3);
      s.clock.ms -= 3_600_000;
      expect(await s.ask("a", "bulk", 985 * 3)).toEqual({ type: "granted", waitMs: 2_000 });
    });

    it("refuses amounts that would spoil a level", async () => {
      const s = await Subject.create(create);
      await expect(s.ask("a", "bulk", NaN)).rejects.toThrow("`tokens` to be a number of at least 0, got NaN");
      await expect(s.settle("a", "ok", { actual: { requests: -1 } })).rejects.toThrow("`requests`");
    });

    it("limits only the dimensions that have a quota", async () => {
      const s = await Subject.create(create, {
        quota: { inputTokensPerMinute: 60_000 },
        lanes: defaultLanes,
      });
      const cost = { tokens: 1e9, requests: 1e9, "input-tokens": 985 };
      const admit = async (id: string) =>
        s.limiter.admit({ pool: POOL, lane: "bulk", id, job: id, cost, ttlMs: 1_000 });
      expect(await admit("a")).toEqual({ type: "granted", waitMs: 0 });
      expect(await admit("b")).toEqual({ type: "granted", waitMs: 1_000 });
    });

    it("takes changed limits at once and keeps what was promised", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985);
      await s.limiter.configure(POOL, { ...limits, quota: { tokensPerMinute: 120_000 } });
      expect(await s.ask("b", "bulk", 985)).toEqual({ type: "granted", waitMs: 500 });
    });

    it("begins carefully when all is known to be lost, also where another has declared the pool since, and once", async () => {
      const s = await Subject.create(create);
      await s.limiter.restore(POOL, limits);
      const ceiling = async () => (await s.limiter.inspect(POOL)).dimensions.tokens?.ceiling;
      expect(await ceiling()).toBeCloseTo(0.5);
      expect(await s.ask("a", "bulk", 985)).toEqual({ type: "granted", waitMs: 2_000 });
      s.clock.ms += 20_000;
      const grown = await ceiling();
      expect(grown).toBeGreaterThan(0.5);
      await s.limiter.restore(POOL, limits);
      expect(await ceiling()).toBe(grown);
    });

    it("says what is wrong with an unknown pool, lane or limit", async () => {
      const s = await Subject.create(create);
      await expect(s.limiter.inspect("other")).rejects.toThrow("pool 'other'");
      await expect(s.ask("a", "express", 1)).rejects.toThrow(
        "one of critical, standard, bulk, got 'express'",
      );
      await expect(s.limiter.configure(POOL, { ...limits, pace: 2 })).rejects.toThrow("`pace`");
    });
  });
}
