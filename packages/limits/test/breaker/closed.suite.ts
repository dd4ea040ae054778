/** A closed breaker: what opens it, and what does not. */
import { describe, expect, it } from "vitest";
import { Subject, type Create } from "../harness.ts";

export function closedSuite(name: string, create: Create): void {
  describe(`a closed breaker in ${name}`, () => {
    it("opens at the fifth failure in a row, and says so once", async () => {
      const s = await Subject.create(create);
      await s.calls(4, "failed");
      expect(await s.phase()).toBe("closed");
      expect((await s.inspect()).breaker.failures).toBe(4);
      await s.ask("last");
      expect(await s.settle("last", "failed")).toMatchObject({
        shutMs: 5_000,
        changes: [{ type: "breaker", from: "closed", to: "open", epoch: 2, untilMs: s.clock.ms + 5_000 }],
      });
      expect(await s.ask("next")).toEqual({ type: "open", afterMs: 5_200, cause: "breaker" });
    });

    it("counts timeouts like failures, at any rate of traffic", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 4; i++) {
        await s.call(`slow${i}`, "timeout");
        s.clock.ms += 60_000;
      }
      expect(await s.phase()).toBe("closed");
      await s.call("slow", "timeout");
      expect(await s.phase()).toBe("open");
    });

    it("begins to count again at an answer of a call that started after the first failure did", async () => {
      const s = await Subject.create(create);
      await s.ask("old");
      s.clock.ms += 100;
      await s.calls(4, "failed");
      await s.settle("old", "ok");
      expect((await s.inspect()).breaker.failures).toBe(4);
      await s.call("good", "ok");
      expect((await s.inspect()).breaker.failures).toBe(0);
      s.clock.ms += 100;
      await s.calls(4, "failed", "again");
      expect(await s.phase()).toBe("closed");
    });

    it("does not count throttles and ends that tell nothing, and half failures count half", async () => {
      const throttled = await Subject.create(create);
      await throttled.calls(40, "throttled");
      expect(await throttled.phase()).toBe("closed");
      const s = await Subject.create(create);
      await s.calls(40, "neutral");
      for (let i = 0; i < 9; i++) await s.call(`half${i}`, "failed", { weight: 0.5 });
      expect(await s.phase()).toBe("closed");
      await s.call("half9", "failed", { weight: 0.5 });
      expect(await s.phase()).toBe("open");
    });

    it("stays closed while fewer than half fail, and opens when more do", async () => {
      for (const [good, opens] of [
        [2, false],
        [1, true],
      ] as const) {
        const s = await Subject.create(create);
        for (let i = 0; i < 40 && (await s.phase()) === "closed"; i++) {
          await s.calls(good, "ok", `good${i}-`);
          await s.calls(2, "failed", `bad${i}-`);
          if (!opens) await s.calls(1, "ok", `more${i}-`);
        }
        expect(await s.phase()).toBe(opens ? "open" : "closed");
      }
    });

    it("counts calls that are still out: fast failures among slow calls prove nothing", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 30; i++) await s.ask(`slow${i}`, "critical");
      for (let i = 0; i < 9; i++) await s.settle(`slow${i}`, "failed");
      expect(await s.phase()).toBe("closed");
      // 26 of 30 failed: most of those that began together.
      for (let i = 9; i < 26; i++) await s.settle(`slow${i}`, "failed");
      expect(await s.phase()).toBe("open");
    });

    it("counts the earlier calls that are still out by their starts, however long they may last", async () => {
      for (const ttlMs of [180_000, 3_600_000, 1_000]) {
        const s = await Subject.create(create);
        for (let i = 0; i < 8; i++) await s.ask(`early${i}`, "critical", 1, ttlMs);
        s.clock.ms += 100;
        for (let i = 0; i < 8; i++) await s.call(`bad${i}`, "failed", {}, "critical");
        expect(await s.phase()).toBe("closed");
      }
      // Those that started later do not speak against it.
      const s = await Subject.create(create);
      await s.ask("bad", "critical", 1, 3_600_000);
      for (let i = 0; i < 4; i++) await s.call(`bad${i}`, "failed", {}, "critical");
      s.clock.ms += 100;
      for (let i = 0; i < 8; i++) await s.ask(`late${i}`, "critical", 1, 1_000);
      await s.settle("bad", "failed");
      expect(await s.phase()).toBe("open");
    });

    it("takes three failures of one job at most where there is another, and five where there is none", async () => {
      const s = await Subject.create(create);
      await s.ask("other");
      for (let i = 0; i < 12; i++) await s.call(`poison/${i}`, "failed");
      expect(await s.phase()).toBe("closed");
      const sole = await Subject.create(create);
      for (let i = 0; i < 5; i++) await sole.call(`sole/${i}`, "failed");
      expect(await sole.phase()).toBe("open");
    });

    it("does not take a job for the only one when another was answered within a minute", async () => {
      const s = await Subject.create(create);
      await s.call("other", "ok");
      s.clock.ms += 30_000;
      for (let i = 0; i < 12; i++) await s.call(`poison/${i}`, "failed");
      expect(await s.phase()).toBe("closed");
    });

    it("ignores failures of calls that started before the pool answered again", async () => {
      const s = await Subject.create(create);
      await s.call("before", "ok");
      for (let i = 0; i < 30; i++) await s.ask(`hole${i}`, "critical");
      s.clock.ms += 60_000;
      await s.call("answered", "ok");
      for (let i = 0; i < 30; i++) await s.settle(`hole${i}`, "timeout");
      expect(await s.inspect()).toMatchObject({ breaker: { phase: "closed", failures: 0 } });
    });

    it("takes back the start of a call that was never made", async () => {
      const s = await Subject.create(create);
      // Granted, and given back before they began.
      for (let i = 0; i < 60; i++) {
        await s.ask(`unmade${i}`, "critical");
        await s.settle(`unmade${i}`, "neutral", { actual: { tokens: 0, requests: 0, "tokens-per-day": 0 } });
      }
      // One long call, so that only the spell of starts can tell.
      await s.ask("long", "critical");
      for (let i = 0; i < 21 && (await s.phase()) === "closed"; i++) await s.call(`bad${i}`, "failed");
      expect(await s.phase()).toBe("open");
    });

    it("says how long ago others were answered, and this operation", async () => {
      const s = await Subject.create(create);
      const op = { operation: "converse" };
      await s.ask("first");
      const first = await s.settle("first", "failed", op);
      expect(first).not.toHaveProperty("answeredAgoMs");
      await s.call("a/1", "ok", { operation: "stream" });
      s.clock.ms += 1_000;
      await s.call("a/2", "ok", op);
      s.clock.ms += 500;
      await s.ask("a/3");
      // Its own answers are none of others.
      expect(await s.settle("a/3", "failed", op)).not.toHaveProperty("answeredAgoMs");
      await s.ask("b/1");
      expect(await s.settle("b/1", "failed", op)).toMatchObject({
        answeredAgoMs: 500,
        operationAnsweredAgoMs: 500,
      });
      await s.ask("b/2");
      expect(await s.settle("b/2", "failed", { operation: "stream" })).toMatchObject({
        answeredAgoMs: 500,
        operationAnsweredAgoMs: 1_500,
      });
    });

    it("remembers the answers of sixteen operations, the last", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 20; i++) {
        await s.call(`job${i}`, "ok", { operation: `op${i}` });
        s.clock.ms += 100;
      }
      await s.ask("old");
      expect(await s.settle("old", "failed", { operation: "op3" })).not.toHaveProperty(
        "operationAnsweredAgoMs",
      );
      await s.ask("new");
      expect(await s.settle("new", "failed", { operation: "op4" })).toHaveProperty(
        "operationAnsweredAgoMs",
        1_600,
      );
    });

    it("holds the pool while the server wants no calls, at most five minutes, and never for less than it was", async () => {
      const s = await Subject.create(create);
      await s.ask("a");
      await s.ask("b");
      await s.ask("c");
      expect(await s.settle("a", "throttled", { holdMs: 30_000 })).toMatchObject({
        shutMs: 30_000,
        changes: [{ type: "hold", untilMs: s.clock.ms + 30_000 }],
      });
      expect(await s.ask("d")).toEqual({ type: "open", afterMs: 30_000, cause: "hold" });
      expect(await s.settle("b", "failed", { holdMs: 1_000 })).not.toHaveProperty("changes");
      await s.settle("c", "throttled", { holdMs: 3_600_000 });
      expect(await s.ask("d")).toEqual({ type: "open", afterMs: 300_000, cause: "hold" });
      expect(await s.inspect()).toMatchObject({
        takesCalls: false,
        shutMs: 300_000,
        breaker: { phase: "closed", heldUntilMs: s.clock.ms + 300_000 },
      });
      s.clock.ms += 300_000;
      expect(await s.ask("d")).toMatchObject({ type: "granted" });
    });

    it("is held by whatever the server could not serve, and not by what says nothing about the pool", async () => {
      for (const outcome of ["failed", "timeout", "neutral"] as const) {
        const s = await Subject.create(create);
        await s.call("a", outcome, { holdMs: 30_000 });
        expect(await s.ask("b")).toEqual({ type: "open", afterMs: 30_000, cause: "hold" });
      }
      for (const outcome of ["ok", "systemic"] as const) {
        const s = await Subject.create(create);
        await s.call("a", outcome, { holdMs: 30_000 });
        expect(await s.ask("b")).toMatchObject({ type: "granted" });
      }
      // Smaller calls pass, so only this one is too large.
      const s = await Subject.create(create);
      await s.call("small", "ok");
      await s.ask("large", "critical", 600);
      expect(await s.settle("large", "throttled", { holdMs: 30_000 })).toMatchObject({ shutMs: 0 });
      expect(await s.ask("b", "critical")).toMatchObject({ type: "granted" });
    });

    it("is not held by a throttle of the few that a healthy service refuses", async () => {
      const s = await Subject.create(create);
      // One of a hundred: soon told from the quota, and tolerated.
      for (let i = 0; i < 1_000; i++) {
        await s.call(`job${i}`, i % 100 === 50 ? "throttled" : "ok", {}, "critical");
        s.clock.ms += 200;
      }
      await s.ask("a", "critical");
      expect(await s.settle("a", "throttled", { holdMs: 30_000 })).toMatchObject({ shutMs: 0 });
      expect(await s.ceiling()).toBe(1);
    });

    it("takes a hold back when an operator closes", async () => {
      const s = await Subject.create(create);
      await s.ask("a");
      await s.settle("a", "throttled", { holdMs: 30_000 });
      await s.limiter.operate("model", { type: "close" });
      expect(await s.ask("b")).toMatchObject({ type: "granted" });
    });
  });
}
