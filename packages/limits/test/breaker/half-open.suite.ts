/** A half-open breaker: what its probes find out. */
import { describe, expect, it } from "vitest";
import { limits, POOL, Subject, type Create } from "../harness.ts";
import { opened } from "./open.suite.ts";

export function halfOpenSuite(name: string, create: Create): void {
  /** One probe is under way. */
  const probing = async (): Promise<Subject> => {
    const s = await opened(create);
    s.clock.ms += 5_000;
    await s.ask("one", "critical");
    expect(await s.phase()).toBe("half-open");
    return s;
  };

  describe(`a half-open breaker in ${name}`, () => {
    it("closes after two probes in a row, the second at once, and comes back at half the rate", async () => {
      const s = await probing();
      expect(await s.settle("one", "ok")).toMatchObject({ probe: true, shutMs: 50 });
      await s.ask("two", "critical");
      expect(await s.settle("two", "ok")).toMatchObject({
        probe: true,
        shutMs: 0,
        changes: [{ from: "half-open", to: "closed", epoch: 3, untilMs: 0 }],
      });
      expect(await s.ceiling()).toBe(0.5);
      s.clock.ms += 60_000;
      expect(await s.ceiling()).toBe(1);
    });

    it("sends the next probe when it is due, though the one before has told nothing", async () => {
      const s = await probing();
      s.clock.ms += 4_999;
      expect(await s.ask("two", "critical")).toMatchObject({ type: "open", cause: "probing" });
      s.clock.ms += 1;
      expect(await s.ask("two", "critical")).toMatchObject({ type: "granted", probe: true });
      expect((await s.inspect()).breaker.probes).toEqual(["one", "two"]);
      await s.settle("two", "ok");
      await s.settle("one", "ok");
      expect(await s.phase()).toBe("closed");
    });

    it("goes on probing when many probes hang, each for an hour", async () => {
      const s = await probing();
      for (let i = 0; i < 40; i++) {
        s.clock.ms = Math.ceil((await s.inspect()).breaker.probeDueAtMs);
        expect(await s.ask(`probe${i}`, "critical", 1, 3_600_000)).toMatchObject({ probe: true });
        expect((await s.inspect()).breaker.probes.length).toBeLessThanOrEqual(16);
      }
    });

    it("gives the place of the eldest probe to the next when all are taken", async () => {
      const s = await Subject.create(create, { ...limits, breaker: { probesMost: 2 } });
      await s.limiter.operate(POOL, { type: "open", forMs: 1 });
      for (const id of ["one", "two", "three"]) {
        s.clock.ms += 5_000;
        expect(await s.ask(id, "critical", 1, 3_600_000)).toMatchObject({ probe: true });
      }
      expect((await s.inspect()).breaker.probes).toEqual(["two", "three"]);
    });

    it("opens again when the last probe failed, and not before", async () => {
      const s = await probing();
      s.clock.ms += 5_000;
      await s.ask("two", "critical");
      await s.settle("two", "failed");
      expect(await s.phase()).toBe("half-open");
      s.clock.ms += 1_000;
      // The next is due when it was.
      expect(await s.settle("one", "timeout")).toMatchObject({ changes: [{ to: "open" }], shutMs: 4_000 });
      expect(await s.ask("three", "critical")).toEqual({ type: "open", afterMs: 4_000, cause: "breaker" });
    });

    it("needs two answers in a row", async () => {
      const s = await probing();
      await s.settle("one", "ok");
      await s.call("two", "failed", {}, "critical");
      expect(await s.phase()).toBe("open");
      s.clock.ms += 5_000;
      await s.call("three", "ok", {}, "critical");
      expect(await s.phase()).toBe("half-open");
      await s.call("four", "ok", {}, "critical");
      expect(await s.phase()).toBe("closed");
    });

    it("hears a probe that is answered after a minute, when it has no place any more, and no late failure", async () => {
      const s = await probing();
      s.clock.ms += 90_000;
      await s.ask("two", "critical");
      s.clock.ms += 60_000;
      await s.ask("three", "critical");
      expect((await s.inspect()).breaker.probes).toEqual(["three"]);
      await s.settle("one", "ok");
      expect(await s.settle("two", "timeout")).toMatchObject({ probe: true });
      await s.settle("three", "ok");
      expect(await s.phase()).toBe("closed");
    });

    it("keeps the state when a probe was throttled or never made, and lets the next one try at once", async () => {
      for (const outcome of ["throttled", "neutral"] as const) {
        const s = await probing();
        await s.settle("one", outcome);
        expect(await s.phase()).toBe("half-open");
        expect(await s.ask("two", "critical")).toMatchObject({ type: "granted", probe: true });
      }
    });

    it("takes a relapse within a minute for the same outage, and a later one for a new one", async () => {
      for (const [healthyMs, openings] of [
        [30_000, 2],
        [120_000, 1],
      ] as const) {
        const s = await probing();
        await s.settle("one", "ok");
        await s.call("two", "ok", {}, "critical");
        s.clock.ms += healthyMs;
        await s.calls(5, "failed", "relapse");
        expect(await s.inspect()).toMatchObject({ breaker: { phase: "open", openings } });
      }
    });

    it("ignores failures of calls that started before the pool was closed again", async () => {
      const s = await probing();
      await s.settle("one", "ok");
      s.clock.ms += 5_000;
      await s.ask("two", "critical");
      await s.ask("three", "critical");
      await s.settle("two", "ok");
      await s.settle("three", "failed");
      expect(await s.inspect()).toMatchObject({ breaker: { phase: "closed", failures: 0 } });
    });

    it("is suspected when its probe is denied access", async () => {
      const s = await probing();
      await s.settle("one", "systemic");
      expect(await s.phase()).toBe("suspected");
    });
  });
}
