import { describe, expect, it } from "vitest";
import { Subject, type Create } from "./harness.ts";

const systemic = async (s: Subject, job: string, operation: string): Promise<void> => {
  await s.call(`${job}/1/model`, "systemic", { operation });
};

const suspected = async (create: Create): Promise<Subject> => {
  const s = await Subject.create(create);
  for (const job of ["a", "b", "c", "d"]) await systemic(s, job, job === "a" ? "tools" : "plain");
  expect(await s.phase()).toBe("closed");
  await systemic(s, "e", "plain");
  return s;
};

export function breakerSuite(name: string, create: Create): void {
  const opened = async (): Promise<Subject> => {
    const s = await Subject.create(create);
    await s.calls(20, "failed");
    return s;
  };
  const halfOpen = async (): Promise<Subject> => {
    const s = await opened();
    s.clock.ms += 5_000;
    return s;
  };

  describe(`breaker in ${name}`, () => {
    it("opens at the twentieth call when half of them failed, and says so once", async () => {
      const s = await Subject.create(create);
      await s.calls(19, "failed");
      expect(await s.phase()).toBe("closed");
      await s.ask("last");
      expect(await s.settle("last", "failed")).toMatchObject({
        changes: [{ type: "breaker", from: "closed", to: "open", epoch: 2, untilMs: s.clock.ms + 5_000 }],
      });
      expect(await s.ask("next")).toEqual({ type: "open", afterMs: 5_200, cause: "breaker" });
    });

    it("does not count throttles, and half failures count half", async () => {
      const s = await Subject.create(create);
      await s.calls(40, "throttled");
      await s.calls(20, "neutral");
      for (let i = 0; i < 19; i++) await s.call(`half${i}`, "failed", { weight: 0.5 });
      expect(await s.phase()).toBe("closed");
    });

    it("stays closed while fewer than half fail", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 30; i++) {
        await s.calls(2, "ok", `good${i}-`);
        await s.calls(1, "failed", `bad${i}-`);
      }
      expect(await s.phase()).toBe("closed");
    });

    it("opens on consecutive timeouts at traffic too low for a ratio", async () => {
      const s = await Subject.create(create);
      await s.calls(7, "timeout");
      await s.call("good", "ok");
      for (let i = 0; i < 7; i++) {
        await s.call(`slow${i}`, "timeout");
        s.clock.ms += 15_000;
      }
      expect(await s.phase()).toBe("closed");
      await s.call("slow", "timeout");
      expect(await s.phase()).toBe("open");
    });

    it("lets exactly one of many probe at half-open", async () => {
      const s = await halfOpen();
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => s.ask(`p${i}`, "critical")),
      );
      const probes = answers.filter((answer) => answer.type === "granted");
      expect(probes).toMatchObject([{ probe: true }]);
      expect(answers.filter((answer) => answer.type === "open" && answer.cause === "probing")).toHaveLength(
        199,
      );
    });

    it("closes after two probes in a row, and comes back at half the rate", async () => {
      const s = await halfOpen();
      await s.ask("one", "critical");
      await s.settle("one", "ok");
      await s.ask("two", "critical");
      expect(await s.settle("two", "ok")).toMatchObject({ changes: [{ from: "half-open", to: "closed" }] });
      expect(await s.ceiling()).toBe(0.5);
      s.clock.ms += 60_000;
      expect(await s.ceiling()).toBe(1);
    });

    it("opens for twice as long each time a probe fails, up to two minutes", async () => {
      const s = await opened();
      const waits: number[] = [];
      for (let i = 0; i < 7; i++) {
        const door = await s.ask("w", "critical");
        if (door.type !== "open") throw new Error(`Expected the pool to be open, got ${door.type}`);
        waits.push(door.afterMs);
        s.clock.ms += door.afterMs;
        await s.ask(`p${i}`, "critical");
        await s.settle(`p${i}`, "failed");
      }
      // The first was opened by a call 200 ms before the question.
      expect(waits).toEqual([4_800, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000]);
    });

    it("ignores results of calls from before it opened", async () => {
      const s = await Subject.create(create);
      await s.ask("good before");
      await s.ask("bad before");
      await s.calls(20, "failed");
      s.clock.ms += 5_000;
      await s.ask("probe", "critical");
      await s.settle("good before", "ok");
      await s.settle("bad before", "failed");
      expect(await s.phase()).toBe("half-open");
      await s.settle("probe", "ok");
      await s.call("second", "ok");
      expect(await s.phase()).toBe("closed");
    });

    it("replaces a probe whose worker died, and ignores its late success", async () => {
      const s = await halfOpen();
      await s.ask("dead", "critical");
      s.clock.ms += 125_000;
      expect(await s.ask("next", "critical")).toMatchObject({ type: "granted", probe: true });
      await s.settle("dead", "ok");
      await s.settle("next", "ok");
      expect(await s.phase()).toBe("half-open");
    });

    it("keeps the state when a probe is throttled, and lets the next one try", async () => {
      const s = await halfOpen();
      await s.ask("one", "critical");
      await s.settle("one", "throttled");
      expect(await s.phase()).toBe("half-open");
      expect(await s.ask("two", "critical")).toMatchObject({ type: "granted", probe: true });
    });
  });

  describe(`isolation in ${name}`, () => {
    it("suspects only after several jobs with several request shapes", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 10; i++) await systemic(s, `job${i}`, "tools");
      for (let i = 0; i < 10; i++) await systemic(s, i % 2 === 0 ? "x" : "y", "tools");
      expect(await s.phase()).toBe("closed");
      expect(await (await suspected(create)).phase()).toBe("suspected");
    });

    it("forgets suspicions when a call is answered", async () => {
      const s = await Subject.create(create);
      for (const job of ["a", "b", "c", "d"]) await systemic(s, job, job);
      await s.call("good", "ok");
      await systemic(s, "e", "e");
      expect(await s.phase()).toBe("closed");
    });

    it("isolates when a canary of the least urgent lane confirms, and tries one a minute", async () => {
      const s = await suspected(create);
      expect(await s.ask("c", "critical")).toEqual({ type: "open", afterMs: 400, cause: "breaker" });
      expect(await s.ask("canary/1/model", "bulk")).toMatchObject({ type: "granted", probe: true });
      await s.settle("canary/1/model", "systemic");
      expect(await s.phase()).toBe("isolated");
      expect(await s.ask("b", "bulk")).toEqual({ type: "open", afterMs: 60_000, cause: "isolated" });
      s.clock.ms += 60_000;
      expect(await s.ask("next", "bulk")).toMatchObject({ type: "granted", probe: true });
      await s.settle("next", "ok");
      expect(await s.phase()).toBe("closed");
      expect(await s.ceiling()).toBe(1);
    });

    it("drops the suspicion when the canary is answered", async () => {
      const s = await suspected(create);
      await s.ask("canary", "bulk");
      await s.settle("canary", "ok");
      expect(await s.phase()).toBe("closed");
    });

    it("stays isolated by hand until an operator closes", async () => {
      const s = await Subject.create(create);
      await s.limiter.operate("model", { type: "isolate" });
      s.clock.ms += 86_400_000;
      expect(await s.ask("a", "bulk")).toEqual({ type: "open", afterMs: 60_000, cause: "isolated" });
      expect(await s.limiter.operate("model", { type: "close" })).toMatchObject([
        { from: "isolated", to: "closed" },
      ]);
      expect(await s.ask("a", "bulk")).toMatchObject({ type: "granted" });
    });

    it("opens by hand for as long as it is told, then probes", async () => {
      const s = await Subject.create(create);
      await s.limiter.operate("model", { type: "open", forMs: 30_000 });
      expect(await s.ask("a", "critical")).toEqual({ type: "open", afterMs: 30_000, cause: "breaker" });
      s.clock.ms += 30_000;
      expect(await s.ask("a", "critical")).toMatchObject({ type: "granted", probe: true });
    });
  });
}
