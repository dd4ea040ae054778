/** Denied access: what makes a pool suspected, and what a canary finds out in a suspected and an isolated one. */
import { describe, expect, it } from "vitest";
import { POOL, Subject, type Create } from "../harness.ts";

const CONVERSE = "converse";
const ASYNC = "async";

const deny = async (s: Subject, job: string, operation = CONVERSE): Promise<void> => {
  await s.call(`${job}/1`, "systemic", { operation });
  // Time for the next request to accrue.
  s.clock.ms += 200;
};

const suspected = async (create: Create): Promise<Subject> => {
  const s = await Subject.create(create);
  for (const job of ["a", "b", "c", "d"]) await deny(s, job);
  expect(await s.phase()).toBe("closed");
  await deny(s, "e");
  expect(await s.phase()).toBe("suspected");
  return s;
};

const isolated = async (create: Create): Promise<Subject> => {
  const s = await suspected(create);
  await s.ask("canary", "bulk");
  await s.settle("canary", "systemic", { operation: CONVERSE });
  expect(await s.phase()).toBe("isolated");
  return s;
};

/** Asks in the name of a process. */
const ask = async (s: Subject, id: string, process: string, lane = "standard") =>
  s.ask(id, lane, 1, 180_000, { process, operation: CONVERSE });
/** Denials of one process, one after another; resolves to the news of them. */
const denyTo = async (s: Subject, process: string, count: number): Promise<unknown[]> => {
  const news: unknown[] = [];
  for (let i = 0; i < count; i++) {
    // oxlint-disable no-await-in-loop -- one after another is the point
    await ask(s, `${process}${s.clock.ms}`, process);
    const reply = await s.settle(`${process}${s.clock.ms}`, "systemic", { operation: CONVERSE });
    // oxlint-enable no-await-in-loop
    if (reply.type === "settled") news.push(...(reply.changes ?? []));
    s.clock.ms += 200;
  }
  return news;
};

export function isolationSuite(name: string, create: Create): void {
  describe(`a closed pool whose access is denied in ${name}`, () => {
    it("is suspected after five of one operation from three jobs", async () => {
      const s = await Subject.create(create);
      await deny(s, "x", ASYNC);
      await s.call("z", "neutral");
      for (const job of ["x", "y", "z"]) await deny(s, job, ASYNC);
      for (let i = 0; i < 10; i++) await deny(s, i % 2 === 0 ? "x" : "y");
      expect(await s.phase()).toBe("closed");
      await deny(s, "z");
      expect(await s.phase()).toBe("suspected");
    });

    it("is suspected by its only jobs when there are fewer than three", async () => {
      for (const jobs of [["x"], ["x", "y"]]) {
        const s = await Subject.create(create);
        for (let i = 0; i < 4; i++) await deny(s, jobs[i % jobs.length] ?? "");
        expect(await s.phase()).toBe("closed");
        await deny(s, jobs[4 % jobs.length] ?? "");
        expect(await s.phase()).toBe("suspected");
      }
    });

    it("forgets suspicions of an operation when that operation is answered, and no other", async () => {
      const s = await Subject.create(create);
      for (const job of ["a", "b", "c", "d"]) await deny(s, job);
      for (const job of ["a", "b", "c"]) await deny(s, job, ASYNC);
      await s.call("good", "ok", { operation: CONVERSE });
      expect((await s.inspect()).breaker.suspects).toBe(3);
      await deny(s, "e");
      expect(await s.phase()).toBe("closed");
    });

    it("is suspected in time although the clock stepped back since another operation was answered", async () => {
      const s = await Subject.create(create);
      await s.call("good/1", "ok", { operation: ASYNC });
      s.clock.ms += 10_000;
      s.clock.ms -= 600_000;
      for (const job of ["a", "b", "c", "d", "e"]) await deny(s, job);
      expect(await s.phase()).toBe("suspected");
    });

    it("is not stopped for one operation while another is answered", async () => {
      const s = await Subject.create(create);
      await deny(s, "first", ASYNC);
      for (let i = 0; i < 12; i++) {
        await s.call(`good${i}`, "ok", { operation: CONVERSE });
        await deny(s, `bad${i}`, ASYNC);
      }
      expect(await s.phase()).toBe("closed");
    });

    it("says once that one operation is denied while another is answered, and once when it is answered", async () => {
      const s = await Subject.create(create);
      const news: unknown[] = [];
      const settle = async (job: string, outcome: "ok" | "systemic", operation: string): Promise<void> => {
        await s.ask(`${job}/1`);
        const reply = await s.settle(`${job}/1`, outcome, { operation });
        if (reply.type === "settled") news.push(...(reply.changes ?? []));
        s.clock.ms += 200;
      };
      await settle("first", "systemic", ASYNC);
      for (let i = 0; i < 12; i++) {
        await settle(`good${i}`, "ok", CONVERSE);
        await settle(`bad${i}`, "systemic", ASYNC);
        expect(news).toHaveLength(i < 3 ? 0 : 1);
      }
      const change = { type: "operation-denied", pool: POOL, operation: ASYNC };
      await settle("mended", "ok", ASYNC);
      await settle("again", "ok", ASYNC);
      expect(news).toEqual([
        { ...change, denied: true },
        { ...change, denied: false },
      ]);
    });
  });

  describe(`a pool of several processes, one of which is denied, in ${name}`, () => {
    it("is not stopped by denials that end before the first answers", async () => {
      const s = await Subject.create(create);
      for (const id of ["a", "b"]) await ask(s, id, "well");
      await denyTo(s, "sick", 4);
      await ask(s, "c", "well");
      await denyTo(s, "sick", 8);
      expect(await s.phase()).toBe("closed");
      for (const id of ["a", "b", "c"]) await s.settle(id, "ok", { operation: CONVERSE });
      await denyTo(s, "sick", 20);
      expect(await s.phase()).toBe("closed");
    });

    it("is not stopped beside calls of a slow model, which were let in long ago", async () => {
      const s = await Subject.create(create);
      await ask(s, "slow", "well");
      s.clock.ms += 20_000;
      await denyTo(s, "sick", 60);
      expect(await s.phase()).toBe("closed");
      // A call of a minute ago says nothing about now.
      s.clock.ms += 60_000;
      await denyTo(s, "sick", 1);
      expect(await s.phase()).toBe("suspected");
    });

    it("waits for calls that started before a denial, but no longer than a denial takes", async () => {
      const s = await Subject.create(create);
      const phases: string[] = [];
      for (let i = 0; i < 9; i++) {
        await ask(s, `elder${i}`, "one");
        s.clock.ms += 200;
        await denyTo(s, "two", 1);
        phases.push(await s.phase());
        await s.settle(`elder${i}`, "neutral");
      }
      expect(phases.slice(0, 8)).not.toContain("suspected");
      expect(phases.at(-1)).toBe("suspected");
    });

    it("leaves the calls of a process that is known to be denied to the others, and lets it try every 10 s", async () => {
      const s = await Subject.create(create);
      await denyTo(s, "sick", 4);
      await ask(s, "a", "well");
      await s.settle("a", "ok", { operation: CONVERSE });
      await denyTo(s, "sick", 1);
      s.clock.ms += 1_800;
      expect(await ask(s, "b", "sick")).toEqual({ type: "open", afterMs: 8_000, cause: "denied" });
      expect(await ask(s, "c", "well")).toMatchObject({ type: "granted" });
      expect(await s.ask("d", "standard", 1, 1_000, { process: "sick", operation: ASYNC })).toMatchObject({
        type: "granted",
      });
      s.clock.ms += 8_000;
      expect(await ask(s, "b", "sick")).toMatchObject({ type: "granted" });
      expect(await ask(s, "e", "sick")).toEqual({ type: "open", afterMs: 10_000, cause: "denied" });
      await s.settle("b", "ok", { operation: CONVERSE });
      expect(await ask(s, "e", "sick")).toMatchObject({ type: "granted" });
    });

    it("says once that the process is denied, holds it against no job, and says once that it is answered", async () => {
      const s = await Subject.create(create);
      const well = async (id: string): Promise<void> => {
        await ask(s, id, "well");
        await s.settle(id, "ok", { operation: CONVERSE });
      };
      await well("first");
      expect(await denyTo(s, "sick", 2)).toEqual([]);
      await well("second");
      const change = { type: "operation-denied", pool: POOL, operation: CONVERSE, process: "sick" };
      expect((await s.inspect()).deniedProcesses).toEqual([]);
      const sinceMs = s.clock.ms;
      expect(await denyTo(s, "sick", 20)).toEqual([{ ...change, denied: true }]);
      expect((await s.inspect()).deniedProcesses).toEqual([
        { process: "sick", operation: CONVERSE, sinceMs: expect.closeTo(sinceMs, -3) },
      ]);
      s.clock.ms += 10_000;
      await ask(s, "late", "sick");
      const reply = await s.settle("late", "systemic", { operation: CONVERSE });
      expect(reply).toMatchObject({ type: "settled" });
      expect(reply).not.toHaveProperty("operationAnsweredAgoMs");
      s.clock.ms += 10_000;
      await ask(s, "mended", "sick");
      expect(await s.settle("mended", "ok", { operation: CONVERSE })).toMatchObject({
        changes: [{ ...change, denied: false }],
      });
      expect((await s.inspect()).deniedProcesses).toEqual([]);
      await denyTo(s, "sick", 5);
      expect(await s.phase()).toBe("suspected");
    });

    it("has the suspicion tried by another process, if one has asked", async () => {
      const s = await Subject.create(create);
      await denyTo(s, "sick", 1);
      await ask(s, "made", "well");
      await s.settle("made", "neutral");
      await denyTo(s, "sick", 4);
      expect(await s.phase()).toBe("suspected");
      s.clock.ms += 5_000;
      expect(await ask(s, "b", "sick", "bulk")).toMatchObject({ type: "open", cause: "breaker" });
      expect(await ask(s, "c", "well", "bulk")).toMatchObject({ type: "granted", probe: true });
      await s.settle("c", "ok", { operation: CONVERSE });
      await denyTo(s, "sick", 20);
      expect(await s.phase()).toBe("closed");
    });

    it("has it tried by the denied process when nobody else comes", async () => {
      const s = await Subject.create(create);
      await denyTo(s, "sick", 5);
      expect(await ask(s, "b", "sick", "bulk")).toMatchObject({ type: "granted", probe: true });
    });

    it("lets a process that was not denied try an isolated pool at once, each once", async () => {
      const s = await Subject.create(create);
      await denyTo(s, "sick", 5);
      await ask(s, "b", "sick", "bulk");
      await s.settle("b", "systemic", { operation: CONVERSE });
      expect(await s.phase()).toBe("isolated");
      expect(await ask(s, "c", "sick")).toMatchObject({ type: "open", cause: "isolated" });
      expect(await ask(s, "d", "sick too")).toMatchObject({ type: "granted", probe: true });
      await s.settle("d", "systemic", { operation: CONVERSE });
      expect(await ask(s, "e", "sick too")).toMatchObject({ type: "open", cause: "isolated" });
      expect(await ask(s, "f", "well")).toMatchObject({ type: "granted", probe: true });
      await s.settle("f", "ok", { operation: CONVERSE });
      await denyTo(s, "sick", 20);
      expect(await s.phase()).toBe("closed");
    });

    it("is isolated when all are denied", async () => {
      const s = await Subject.create(create);
      for (const process of ["one", "two", "three", "one", "two"]) await denyTo(s, process, 1);
      expect(await s.phase()).toBe("suspected");
      await ask(s, "canary", "three", "bulk");
      await s.settle("canary", "systemic", { operation: CONVERSE });
      expect(await s.phase()).toBe("isolated");
    });
  });

  describe(`a suspected pool in ${name}`, () => {
    it("takes calls again as soon as its canary has been out for 3 s: it was let in", async () => {
      for (const ttlMs of [180_000, 3_660_000]) {
        const s = await suspected(create);
        await s.ask("canary", "bulk", 1, ttlMs);
        s.clock.ms += 2_999;
        expect(await s.ask("a")).toMatchObject({ type: "open", cause: "probing" });
        s.clock.ms += 1;
        expect(await s.inspect()).toMatchObject({ takesCalls: true });
        expect(await s.ask("a")).toMatchObject({
          type: "granted",
          changes: [{ type: "breaker", from: "suspected", to: "closed" }],
        });
        expect(await s.settle("canary", "ok")).toMatchObject({ type: "settled", shutMs: 0 });
      }
    });

    it("lets one canary of the least urgent lane in and nobody else, and says that it takes no calls", async () => {
      const s = await suspected(create);
      expect(await s.inspect()).toMatchObject({ takesCalls: false, breaker: { suspects: 5 } });
      expect(await s.ask("c", "critical")).toEqual({ type: "open", afterMs: 200, cause: "breaker" });
      expect(await s.ask("canary", "bulk")).toMatchObject({ type: "granted", probe: true });
      expect(await s.ask("d", "bulk")).toMatchObject({ type: "open", cause: "probing" });
      expect((await s.inspect()).breaker.probes).toEqual(["canary"]);
    });

    it("drops the suspicion when the canary is answered, throttled or fails", async () => {
      for (const outcome of ["ok", "throttled", "failed"] as const) {
        const s = await suspected(create);
        await s.ask("canary", "bulk");
        await s.settle("canary", outcome);
        expect(await s.inspect()).toMatchObject({
          takesCalls: true,
          breaker: { phase: "closed", suspects: 0 },
        });
      }
    });

    it("sends another canary when one was never made", async () => {
      const s = await suspected(create);
      await s.ask("canary", "bulk");
      await s.settle("canary", "neutral");
      expect(await s.phase()).toBe("suspected");
      expect(await s.ask("next", "bulk")).toMatchObject({ type: "granted", probe: true });
    });
  });

  describe(`an isolated pool in ${name}`, () => {
    it("tries one canary a minute, and takes calls at full rate when it is answered", async () => {
      const s = await isolated(create);
      expect(await s.ask("b", "bulk")).toEqual({ type: "open", afterMs: 60_000, cause: "isolated" });
      s.clock.ms += 60_000;
      expect(await s.ask("next", "bulk")).toMatchObject({ type: "granted", probe: true });
      await s.settle("next", "ok");
      expect(await s.phase()).toBe("closed");
      expect(await s.ceiling()).toBe(1);
    });

    it("stays isolated when the canary fails for another reason", async () => {
      const s = await isolated(create);
      s.clock.ms += 60_000;
      await s.ask("next", "bulk");
      expect(await s.settle("next", "timeout")).toMatchObject({ shutMs: 60_000 });
      expect(await s.phase()).toBe("isolated");
    });

    it("stays isolated by hand until an operator closes", async () => {
      const s = await Subject.create(create);
      await s.limiter.operate("model", { type: "isolate" });
      s.clock.ms += 86_400_000;
      expect(await s.ask("a", "bulk")).toEqual({ type: "open", afterMs: 60_000, cause: "isolated" });
      expect(await s.inspect()).toMatchObject({ takesCalls: false, shutMs: 60_000 });
      expect(await s.limiter.operate("model", { type: "close" })).toMatchObject([
        { from: "isolated", to: "closed" },
      ]);
      expect(await s.ask("a", "bulk")).toMatchObject({ type: "granted" });
    });
  });
}
