/** An open breaker: when it probes, and with whom. */
import { describe, expect, it } from "vitest";
import { POOL, Subject, type Create } from "../harness.ts";

export async function opened(create: Create): Promise<Subject> {
  const s = await Subject.create(create);
  await s.calls(5, "failed");
  expect(await s.phase()).toBe("open");
  return s;
}

export function openSuite(name: string, create: Create): void {
  describe(`an open breaker in ${name}`, () => {
    it("says who opened it: failures, an operator, or the probe that failed after him", async () => {
      const cost = { tokens: 1 };
      const s = await opened(create);
      const told = async () => {
        const { byHand } = await s.limiter.explain(POOL, "standard", cost);
        expect((await s.inspect()).breaker.byHand).toBe(byHand);
        return byHand;
      };
      expect(await told()).toBe(false);
      await s.limiter.operate(POOL, { type: "open", forMs: 1_000 });
      expect(await told()).toBe(true);
      s.clock.ms += 2_000;
      expect(await s.call("probe", "failed")).toBe(true);
      expect(await s.phase()).toBe("open");
      expect(await told()).toBe(false);
      await s.limiter.operate(POOL, { type: "isolate" });
      expect(await told()).toBe(true);
      await s.limiter.operate(POOL, { type: "close" });
      expect(await told()).toBe(false);
    });

    it("lets exactly one of many probe when it is due, and calls the others back soon", async () => {
      const s = await opened(create);
      s.clock.ms += 5_000;
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => s.ask(`p${i}`, "critical")),
      );
      const probes = answers.filter((answer) => answer.type === "granted");
      expect(probes).toMatchObject([{ probe: true, changes: [{ from: "open", to: "half-open" }] }]);
      const others = answers.filter((answer) => answer.type === "open");
      expect(others).toHaveLength(199);
      for (const other of others) expect(other).toEqual({ type: "open", afterMs: 1_000, cause: "probing" });
    });

    it("probes every five seconds at first, more rarely as the outage lasts, and at least once a minute", async () => {
      const s = await opened(create);
      const gaps: number[] = [];
      for (let i = 0; i < 40; i++) {
        const door = await s.ask("w", "critical");
        if (door.type !== "open") throw new Error(`Expected the pool to be open, got ${door.type}`);
        gaps.push(door.afterMs);
        s.clock.ms += door.afterMs;
        await s.call(`p${i}`, "failed", {}, "critical");
      }
      // The first was opened by a call 200 ms before the question.
      expect(gaps.slice(0, 4)).toEqual([4_800, 5_000, 5_000, 5_000]);
      expect(gaps.at(-1)).toBe(60_000);
      const atMinute = gaps.findIndex((_, i) => gaps.slice(0, i).reduce((sum, gap) => sum + gap, 0) > 60_000);
      expect(gaps[atMinute]).toBeLessThan(7_500);
    });

    it("prefers a job that has not failed in this outage, of any lane", async () => {
      for (const [lane, turn] of [
        ["critical", 0],
        ["standard", 1],
        ["bulk", 2],
      ] as const) {
        const s = await opened(create);
        // It opened 200 ms ago.
        s.clock.ms += 4_800 + turn * 200;
        const afterMs = (3 - turn) * 200;
        expect(await s.ask("failed4/2", "critical")).toEqual({ type: "open", afterMs, cause: "breaker" });
        expect(await s.ask("fresh", lane)).toMatchObject({ type: "granted", probe: true });
      }
    });

    it("probes with a job that has failed when nobody else comes", async () => {
      const s = await opened(create);
      s.clock.ms += 5_600;
      expect(await s.ask("failed4/2", "critical")).toMatchObject({ type: "granted", probe: true });
    });

    it("ignores results of calls from before it opened", async () => {
      const s = await Subject.create(create);
      await s.ask("good before");
      await s.ask("bad before");
      for (let i = 0; i < 20; i++) await s.call(`bad${i}`, "failed");
      expect(await s.phase()).toBe("open");
      await s.settle("good before", "ok");
      await s.settle("bad before", "failed");
      expect(await s.inspect()).toMatchObject({ takesCalls: false, breaker: { phase: "open", openings: 1 } });
    });

    it("does not probe while the server wants no calls", async () => {
      const s = await Subject.create(create);
      await s.ask("held");
      for (let i = 0; i < 20; i++) await s.call(`bad${i}`, "failed");
      await s.settle("held", "failed", { holdMs: 60_000 });
      s.clock.ms += 10_000;
      expect(await s.ask("a", "critical")).toEqual({ type: "open", afterMs: 50_000, cause: "hold" });
    });

    it("opens by hand for as long as it is told, then probes every few seconds", async () => {
      const s = await Subject.create(create);
      await s.limiter.operate("model", { type: "open", forMs: 1_800_000 });
      expect(await s.ask("a", "critical")).toEqual({ type: "open", afterMs: 1_800_000, cause: "breaker" });
      s.clock.ms += 1_800_000;
      await s.call("a", "failed", {}, "critical");
      expect(await s.ask("b", "critical")).toEqual({ type: "open", afterMs: 5_000, cause: "breaker" });
    });
  });
}
