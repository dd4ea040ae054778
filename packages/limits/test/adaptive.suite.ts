import { describe, expect, it } from "vitest";
import { limits, POOL, START, Subject, type Create } from "./harness.ts";

const throttle = async (s: Subject, id: string, dimension?: "tokens" | "requests" | "tokens-per-day") => {
  await s.ask(id, "critical");
  const named = dimension === undefined ? {} : { throttledDimension: dimension };
  return s.settle(id, "throttled", named);
};

export function adaptiveSuite(name: string, create: Create): void {
  describe(`ceiling in ${name}`, () => {
    it("cuts the dimension that was throttled, once a second", async () => {
      const s = await Subject.create(create);
      await throttle(s, "a", "tokens");
      await throttle(s, "b", "tokens");
      expect(await s.ceiling("tokens")).toBe(0.85);
      expect(await s.ceiling("requests")).toBe(1);
      s.clock.ms += 1_000;
      await throttle(s, "c", "tokens");
      expect(await s.ceiling("tokens")).toBeLessThan(0.85);
    });

    it("waits when cuts do not help, for longer each time: a window is used up", async () => {
      const s = await Subject.create(create);
      const pauses: number[] = [];
      for (let i = 0; i < 5; i++) {
        await throttle(s, `t${i}`, "tokens");
        pauses.push(Math.round((await s.limiter.explain(POOL, "bulk", {})).backlogMs));
        s.clock.ms += 1_000;
      }
      expect(pauses).toEqual([0, 2_000, 4_000, 8_000, 8_000]);
    });

    it("grows back along the curve and never passes 1", async () => {
      const s = await Subject.create(create);
      await throttle(s, "a", "tokens");
      const seen: number[] = [];
      for (let i = 0; i < 5; i++) {
        s.clock.ms += 10_000;
        seen.push(await s.ceiling());
      }
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect(seen.at(-1)).toBe(1);
    });

    it("blames the emptiest dimension when the message names none", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "critical", 900);
      await s.settle("a", "throttled");
      expect(await s.ceiling("tokens")).toBe(0.85);
      expect(await s.ceiling("requests")).toBe(1);
    });

    it("gives a throttled call's quota not back: the server had less than the level claimed", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "critical", 900);
      await s.settle("a", "throttled", { throttledDimension: "requests", actual: { tokens: 0 } });
      const { dimensions } = await s.limiter.inspect(POOL);
      expect(dimensions.tokens?.level).toBeCloseTo(85);
    });

    it("tolerates a few percent of throttles once cutting has not helped, and gives what they reserved back", async () => {
      const s = await Subject.create(create);
      let throttles = 0;
      for (let i = 0; i < 1_200; i++) {
        await s.ask(`c${i}`, "critical", 1);
        // Every twentieth, whatever the ceiling.
        const outcome = i % 20 === 0 ? "throttled" : "ok";
        if (outcome === "throttled") throttles++;
        await s.settle(`c${i}`, outcome, outcome === "throttled" ? { throttledDimension: "tokens" } : {});
        s.clock.ms += 200;
      }
      expect(throttles).toBe(60);
      expect(await s.ceiling("tokens")).toBe(1);
      await s.ask("last", "critical", 900);
      const before = (await s.limiter.inspect(POOL)).dimensions.tokens?.level ?? 0;
      await s.settle("last", "throttled", { throttledDimension: "tokens", actual: { tokens: 0 } });
      const after = (await s.limiter.inspect(POOL)).dimensions.tokens?.level ?? 0;
      // Larger than anything that passed, too: no sign of the quota either.
      expect(after - before).toBeGreaterThanOrEqual(899);
    });

    it("cuts again when most calls are refused after a trial was passed", async () => {
      const s = await Subject.create(create);
      for (let i = 0; i < 1_400; i++) {
        await s.ask(`c${i}`, "critical", 1);
        const refused = i % 20 === 0 || i >= 1_380;
        await s.settle(
          `c${i}`,
          refused ? "throttled" : "ok",
          refused ? { throttledDimension: "tokens" } : {},
        );
        s.clock.ms += 200;
      }
      expect(await s.ceiling("tokens")).toBeLessThan(0.9);
    });

    it("learns nothing from a call larger than all that passed while smaller ones do, and tells their size", async () => {
      const s = await Subject.create(create);
      await s.calls(3, "ok");
      await s.ask("large", "critical", 900);
      const reply = await s.settle("large", "throttled", {
        throttledDimension: "tokens",
        actual: { tokens: 0 },
      });
      expect(reply).toMatchObject({ type: "settled", largestPassed: 1 });
      expect(await s.ceiling("tokens")).toBe(1);
      s.clock.ms += 120_000;
      await s.ask("again", "critical", 900);
      await s.settle("again", "throttled", { throttledDimension: "tokens" });
      expect(await s.ceiling("tokens"), "nothing passes any more").toBe(0.85);
    });

    it("says once that a quota is far above what the server gives, and once that this is over", async () => {
      const s = await Subject.create(create);
      const news: unknown[] = [];
      for (let i = 0; i < 12; i++) {
        const reply = await throttle(s, `t${i}`, "tokens");
        if (reply.type === "settled") news.push(...(reply.changes ?? []));
        s.clock.ms += 8_000;
      }
      for (let i = 0; i < 12; i++) {
        await s.ask(`r${i}`, "critical");
        const reply = await s.settle(`r${i}`, "throttled", { throttledDimension: "tokens" });
        if (reply.type === "settled") news.push(...(reply.changes ?? []));
        s.clock.ms += 1_000;
      }
      expect(news).toMatchObject([{ type: "quota-doubtful", dimension: "tokens", doubtful: true }]);
      s.clock.ms += 600_000;
      await s.ask("fine", "critical");
      expect(await s.settle("fine")).toMatchObject({
        changes: [{ type: "quota-doubtful", dimension: "tokens", doubtful: false, ceiling: 1 }],
      });
    });

    it("keeps to a share of an account that is shared on purpose", async () => {
      const s = await Subject.create(create, { ...limits, share: 0.5 });
      const { dimensions } = await s.limiter.inspect(POOL);
      expect(dimensions.tokens?.perMinute).toBeCloseTo(60_000 * 0.985 * 0.5);
    });
  });

  describe(`tokens per day in ${name}`, () => {
    const daily = { ...limits, quota: { ...limits.quota, tokensPerDay: 2_000 } };
    const nextDay = (Math.floor(START / 86_400_000) + 1) * 86_400_000;

    it("takes no more than the day has, across pools, until the next UTC day", async () => {
      const s = await Subject.create(create, daily);
      await s.limiter.configure("other", daily);
      const other = async (id: string, tokens: number) =>
        s.limiter.admit({
          pool: "other",
          lane: "bulk",
          id,
          job: id,
          cost: { "tokens-per-day": tokens, tokens: 1 },
          ttlMs: 1,
        });
      expect(await s.ask("a", "critical", 1_500)).toMatchObject({ type: "granted" });
      expect(await other("b", 460)).toMatchObject({ type: "granted" });
      expect(await other("c", 600)).toEqual({ type: "open", afterMs: 60_000, cause: "day" });
      expect(await other("c", 10)).toMatchObject({ type: "granted" });
      s.clock.ms = nextDay;
      expect(await other("d", 600)).toMatchObject({ type: "granted" });
    });

    it("tells a call that is too large for what is left of the day that smaller ones may go", async () => {
      const s = await Subject.create(create, daily);
      await s.ask("a", "bulk", 1_500);
      for (const id of ["b", "c"]) {
        const afterMs = nextDay - START;
        expect(await s.ask(id, "critical", 600)).toEqual({ type: "open", afterMs, cause: "day-rest" });
      }
      expect(await s.limiter.explain(POOL, "critical", { "tokens-per-day": 600 })).toMatchObject({
        answer: "open",
        cause: "day-rest",
      });
      // It has claimed nothing, and left no ticket in its lane.
      expect(await s.ask("d", "critical", 400)).toEqual({ type: "granted", waitMs: 0 });
      s.clock.ms = nextDay;
      expect(await s.ask("b", "critical", 600)).toMatchObject({ type: "granted" });
    });

    const other = { pool: "other", lane: "bulk", cost: { tokens: 1 }, ttlMs: 1_000 };

    it("parks its pool alone on a throttle, and cuts no rate", async () => {
      const s = await Subject.create(create);
      await s.limiter.configure("other", limits);
      expect(await throttle(s, "a", "tokens-per-day")).toMatchObject({
        changes: [{ type: "day", untilMs: START + 900_000, alone: true }],
        shutMs: 900_000,
      });
      expect(await s.ceiling()).toBe(1);
      expect(await s.ask("b")).toEqual({ type: "open", afterMs: 900_000, cause: "day" });
      expect(await s.limiter.admit({ ...other, id: "c", job: "c" })).toMatchObject({ type: "granted" });
      expect((await s.limiter.inspect(POOL)).day.parkedUntilMs).toBe(START + 900_000);
      expect((await s.limiter.inspect("other")).day.parkedUntilMs).toBe(0);
    });

    it("parks all pools of the scope once a second one confirms it, and can be released", async () => {
      const s = await Subject.create(create);
      await s.limiter.configure("other", limits);
      await s.limiter.configure("third", limits);
      await throttle(s, "a", "tokens-per-day");
      s.clock.ms += 60_000;
      await s.limiter.admit({ ...other, id: "b", job: "b" });
      const day = { outcome: "throttled", throttledDimension: "tokens-per-day", actual: {} } as const;
      const settled = await s.limiter.settle({ pool: "other", id: "b", ...day });
      expect(settled).toMatchObject({ changes: [{ type: "day", untilMs: s.clock.ms + 900_000 }] });
      expect(settled).not.toHaveProperty("changes.0.alone");
      const ask = { ...other, pool: "third", id: "c", job: "c" };
      expect(await s.limiter.admit(ask)).toEqual({ type: "open", afterMs: 900_000, cause: "day" });
      expect(await s.limiter.operate(POOL, { type: "release-day" })).toMatchObject([{ untilMs: 0 }]);
      expect(await s.limiter.admit(ask)).toMatchObject({ type: "granted" });
    });

    it("parks for as long as it meant to, though the clock steps back, whichever pool meets that first", async () => {
      const s = await Subject.create(create);
      await s.limiter.configure("other", limits);
      await s.limiter.admit({ ...other, id: "o", job: "o" });
      await throttle(s, "a", "tokens-per-day");
      s.clock.ms += 300_000;
      await s.limiter.admit({ ...other, id: "p", job: "p" });
      s.clock.ms -= 600_000;
      await s.limiter.admit({ ...other, id: "q", job: "q" });
      expect(await s.ask("b")).toEqual({ type: "open", afterMs: 600_000, cause: "day" });
      expect((await s.inspect()).day.parkedUntilMs).toBe(s.clock.ms + 600_000);
      s.clock.ms += 600_000;
      expect(await s.ask("b")).toMatchObject({ type: "granted" });
      // What was over before a step back is over after it.
      s.clock.ms -= 300_000;
      expect(await s.ask("c")).toMatchObject({ type: "granted" });
    });

    it("counts a day once, though the clock steps back over midnight", async () => {
      const s = await Subject.create(create, daily);
      s.clock.ms = nextDay + 60_000;
      expect(await s.ask("a", "critical", 1_500)).toMatchObject({ type: "granted" });
      s.clock.ms -= 120_000;
      expect(await s.ask("b", "critical", 600)).toMatchObject({ type: "open", cause: "day-rest" });
      s.clock.ms += 120_000;
      expect(await s.ask("b", "critical", 600)).toMatchObject({ type: "open", cause: "day-rest" });
      s.clock.ms = nextDay + 86_400_000;
      expect(await s.ask("b", "critical", 600)).toMatchObject({ type: "granted" });
      // A clock that was days ahead counts anew.
      await s.ask("c", "critical", 1_000);
      s.clock.ms = START;
      expect(await s.ask("d", "critical", 1_000)).toMatchObject({ type: "granted" });
    });

    it("takes a second throttle that comes after the first parking for one of its own", async () => {
      const s = await Subject.create(create);
      await s.limiter.configure("other", limits);
      await throttle(s, "a", "tokens-per-day");
      s.clock.ms += 900_000;
      await s.limiter.admit({ ...other, id: "b", job: "b" });
      const day = { outcome: "throttled", throttledDimension: "tokens-per-day", actual: {} } as const;
      expect(await s.limiter.settle({ pool: "other", id: "b", ...day })).toMatchObject({
        changes: [{ alone: true }],
      });
      expect(await s.ask("c")).toMatchObject({ type: "granted" });
    });

    it("parks for twice as long when the day is still over", async () => {
      const s = await Subject.create(create);
      await throttle(s, "a", "tokens-per-day");
      s.clock.ms += 900_000;
      expect(await throttle(s, "b", "tokens-per-day")).toMatchObject({
        changes: [{ untilMs: s.clock.ms + 1_800_000 }],
      });
    });

    it("begins anew after an answer", async () => {
      const s = await Subject.create(create);
      await throttle(s, "a", "tokens-per-day");
      s.clock.ms += 900_000;
      await s.calls(1, "ok");
      expect(await throttle(s, "b", "tokens-per-day")).toMatchObject({
        changes: [{ untilMs: s.clock.ms + 900_000 }],
      });
    });
  });

  describe(`retry budget in ${name}`, () => {
    it("grants a hundred retries, then one for ten successes", async () => {
      const s = await Subject.create(create, { ...limits, retry: { most: 3 } });
      const retry = async (id: string): Promise<unknown> => {
        await s.ask(id);
        const reply = await s.settle(id, "neutral", { retry: true });
        return reply.type === "settled" ? reply.retry : reply.type;
      };
      expect([await retry("a"), await retry("b"), await retry("c")]).toEqual([
        "granted",
        "granted",
        "granted",
      ]);
      expect(await retry("d")).toBe("exhausted");
      await s.calls(11, "ok");
      expect(await retry("e")).toBe("granted");
      expect(await retry("f")).toBe("exhausted");
    });
  });

  describe(`lanes in ${name}`, () => {
    it("keeps a reserve that only critical may draw, also beside a large request granted ahead", async () => {
      const s = await Subject.create(create);
      await s.ask("large", "bulk", 9_850);
      expect(await s.ask("a", "critical", 985)).toEqual({ type: "granted", waitMs: 0 });
      expect(await s.ask("b", "critical", 985 * 2)).toEqual({ type: "granted", waitMs: 0 });
      expect(await s.ask("c", "critical", 985)).toMatchObject({ type: "wait" });
    });

    it("lets bulk in by its share while critical takes all it can", async () => {
      const s = await Subject.create(create);
      let bulk = 0;
      for (let second = 0; second < 120; second++) {
        for (let i = 0; i < 4; i++) await s.ask(`c${second}-${i}`, "critical", 400);
        if ((await s.ask(`b${second}`, "bulk", 100)).type === "granted") bulk += 100;
        s.clock.ms += 1_000;
      }
      expect(bulk).toBeGreaterThanOrEqual(0.05 * 985 * 120 - 100 - 100);
    });
  });

  describe(`operator in ${name}`, () => {
    it("changes quotas at run time, for every worker, until the pools file says something new", async () => {
      const s = await Subject.create(create);
      expect(await s.limiter.setQuota(POOL, { tokensPerMinute: 120_000, requestsPerMinute: null })).toBe(2);
      await s.limiter.configure(POOL, limits);
      const changed = await s.limiter.inspect(POOL);
      expect(changed.version).toBe(2);
      expect(changed.limits.quota).toEqual({ tokensPerMinute: 120_000 });
      await s.limiter.configure(POOL, { ...limits, pace: 0.9 });
      expect((await s.limiter.inspect(POOL)).limits).toEqual({ ...limits, pace: 0.9 });
      await expect(s.limiter.setQuota(POOL, { tokensPerMinute: -1 })).rejects.toThrow(
        "quota.tokensPerMinute",
      );
    });

    it("reads without changing anything", async () => {
      const s = await Subject.create(create);
      await s.ask("a", "bulk", 985 * 3);
      const before = await s.limiter.inspect(POOL);
      const answer = await s.limiter.explain(POOL, "bulk", { tokens: 985 });
      expect(answer).toMatchObject({ answer: "wait", cause: undefined, backlogMs: 2_000, horizonMs: 100 });
      expect(answer.missing.tokens).toEqual({ amount: 2_955, inMs: 3_000 });
      expect(await s.limiter.explain(POOL, "critical", { tokens: 985 })).toMatchObject({
        answer: "granted",
        afterMs: 0,
      });
      expect(await s.limiter.inspect(POOL)).toEqual(before);
    });

    it("explains a closed pool", async () => {
      const s = await Subject.create(create);
      await s.limiter.operate(POOL, { type: "isolate" });
      expect(await s.limiter.explain(POOL, "bulk", {})).toMatchObject({ answer: "open", cause: "isolated" });
    });
  });
}
