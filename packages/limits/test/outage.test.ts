/** The breaker in traffic, in virtual time: what opens it at any rate, and how soon callers are back. */
import { describe, expect, it } from "vitest";
import { createMemoryLimiter, defaultLanes, type PoolLimits } from "../src/index.ts";
import { POOL, Subject } from "./harness.ts";
import { run, type Model, type Seen } from "./traffic.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const plenty: PoolLimits = { quota: { tokensPerMinute: 1_000_000 }, lanes: defaultLanes };

const pool = async (): Promise<Subject> => Subject.create((now) => createMemoryLimiter({ now }), plenty);

/** Fails a part of its calls at once, answers the others after `tookMs`. */
const sporadic =
  (tookMs: number, failing: number): Model =>
  ({ random }) =>
    random < failing ? { tookMs: 100, outcome: "failed" } : { tookMs, outcome: "ok" };

/** Refuses every call. */
const refusing: Model = () => ({ tookMs: 100, outcome: "failed" });

/** Refuses every call within a minute of 60 s to 120 s. */
const refusedMinute =
  (tookMs: number): Model =>
  ({ atMs }) =>
    atMs >= MINUTE && atMs < 2 * MINUTE ? { tookMs: 100, outcome: "failed" } : { tookMs, outcome: "ok" };

/** Answers nothing from 60 s to 120 s: calls of then, and those under way, time out after a minute. */
const blackHole =
  (tookMs: number): Model =>
  ({ atMs }) =>
    atMs + tookMs >= MINUTE && atMs < 2 * MINUTE
      ? { tookMs: MINUTE, outcome: "timeout" }
      : { tookMs, outcome: "ok" };

/** Turns a part of its calls away at once and says when to come back; `neutral`: as overloaded. */
const turningAway =
  (part: number, outcome: "failed" | "neutral", holdMs: number, tookMs: number): Model =>
  ({ random }) =>
    random < part ? { tookMs: 100, outcome, holdMs } : { tookMs, outcome: "ok" };

/** The part of the jobs that was. */
const answered = ({ calls, arrived }: Seen): number =>
  calls.filter(({ outcome }) => outcome === "ok").length / arrived;

/** When the first call was answered that was no probe and started after the outage. */
const back = ({ calls }: Seen, afterMs: number): number =>
  Math.min(
    ...calls
      .filter((call) => call.outcome === "ok" && !call.probe && call.startMs >= afterMs)
      .map((call) => call.startMs),
  );

describe("a model that works", () => {
  const rates = [
    { everyMs: 30, untilMs: MINUTE },
    { everyMs: 100, untilMs: 4 * MINUTE },
    { everyMs: 2_000, untilMs: 60 * MINUTE },
  ];
  const parts = [300, 8_000, 30_000].flatMap((tookMs) =>
    [0.01, 0.03, 0.1].map((failing) => ({ tookMs, failing })),
  );
  for (const { everyMs, untilMs } of rates) {
    for (const { tookMs, failing } of parts) {
      const name = `of ${tookMs} ms that fails ${failing * 100} % at once, called every ${everyMs} ms`;
      it(`${name}, is never stopped`, async () => {
        const { opened } = await run(await pool(), { everyMs, untilMs, model: sporadic(tookMs, failing) });
        expect(opened).toEqual([]);
      });
    }
  }

  it("may fail 40 % of all calls at once beside slow ones", async () => {
    const seen = await run(await pool(), { everyMs: 100, untilMs: 10 * MINUTE, model: sporadic(8_000, 0.4) });
    expect(seen.opened).toEqual([]);
  });

  it("is not stopped by ten refusals among a hundred calls that have just started", async () => {
    const s = await pool();
    for (let i = 0; i < 100; i++) await s.ask(`job${i}`);
    for (let i = 0; i < 10; i++) await s.settle(`job${i}`, "failed");
    expect(await s.phase()).toBe("closed");
  });

  it("is not stopped by one job that always fails, whatever else is under way", async () => {
    for (const tookMs of [300, 8_000, 30_000]) {
      const good = sporadic(tookMs, 0);
      const model: Model = (call) =>
        call.job === "poison" ? { tookMs: 100, outcome: "failed" } : good(call);
      for (const everyMs of [1_000, 5_000, 20_000]) {
        const seen = await run(await pool(), {
          everyMs,
          regular: true,
          untilMs: 10 * MINUTE,
          model,
          poison: ["poison"],
        });
        // Until somebody else is there, a sole job is all that is known of the pool.
        expect(seen.opened.filter((at) => at > everyMs * 3)).toEqual([]);
      }
    }
  });
});

describe("an outage", () => {
  it("opens after five failures when a call comes every few seconds", async () => {
    const seen = await run(await pool(), { everyMs: 5_000, regular: true, untilMs: MINUTE, model: refusing });
    const [opened = Infinity] = seen.opened;
    // Five, and the fourth of a job that comes again sooner than others arrive.
    expect(seen.calls.filter(({ endMs }) => endMs <= opened).length).toBeLessThanOrEqual(6);
  });

  it("is seen by a pool with a single job", async () => {
    const seen = await run(await pool(), { everyMs: 1e9, untilMs: MINUTE, model: refusing });
    expect(seen.opened).toHaveLength(1);
    expect(seen.calls.filter(({ endMs }) => endMs <= (seen.opened[0] ?? 0))).toHaveLength(5);
  });

  it("opens within seconds beside calls of before that are still answered", async () => {
    const seen = await run(await pool(), { everyMs: 100, untilMs: 2 * MINUTE, model: refusedMinute(8_000) });
    expect(seen.opened[0]).toBeLessThan(MINUTE + 5 * SECOND);
  });

  for (const everyMs of [100, 1_000, 4_000]) {
    it(`of a minute is over for callers within 10 s, at a call every ${everyMs} ms`, async () => {
      for (const seed of [1, 2, 3, 4, 5]) {
        const seen = await run(await pool(), {
          everyMs,
          untilMs: 5 * MINUTE,
          model: refusedMinute(300),
          seed,
        });
        expect(seen.opened.length).toBeGreaterThan(0);
        expect(seen.opened.filter((at) => at > 2 * MINUTE)).toEqual([]);
        expect(back(seen, 2 * MINUTE) - 2 * MINUTE).toBeLessThan(10 * SECOND + everyMs);
      }
    });

    it(`that answers nothing is over for callers within 10 s, and old timeouts change nothing, at a call every ${everyMs} ms`, async () => {
      for (const seed of [1, 2, 3, 4, 5]) {
        const seen = await run(await pool(), { everyMs, untilMs: 6 * MINUTE, model: blackHole(300), seed });
        expect(seen.opened.filter((at) => at > 2 * MINUTE + SECOND)).toEqual([]);
        expect(back(seen, 2 * MINUTE) - 2 * MINUTE).toBeLessThan(10 * SECOND + everyMs);
      }
    });
  }

  it("of a slow model is probed every few seconds, not once per answer", async () => {
    const seen = await run(await pool(), {
      everyMs: 1_000,
      untilMs: 5 * MINUTE,
      model: refusedMinute(30_000),
    });
    // The answer takes 30 s, its second 30 s beside it.
    expect(back(seen, 2 * MINUTE) - 2 * MINUTE).toBeLessThan(10 * SECOND + 35 * SECOND);
  });

  it("is probed less often the longer it lasts, and at least once a minute", async () => {
    const seen = await run(await pool(), { everyMs: 30_000, untilMs: 30 * MINUTE, model: refusing });
    const probes = seen.calls.filter(({ probe }) => probe).map(({ startMs }) => startMs);
    const gaps = probes.slice(1).map((at, i) => at - (probes[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...gaps)).toBeLessThan(62_000);
    expect(gaps.filter((gap) => gap > 58_000).length).toBeGreaterThan(10);
  });
});

describe("a hold", () => {
  const quota: PoolLimits = { quota: { tokensPerMinute: 1_200 }, lanes: defaultLanes };

  for (const outcome of ["failed", "neutral"] as const) {
    for (const [part, holdMs] of [
      [0.01, 5_000],
      [0.01, 10_000],
      [0.03, 10_000],
      [0.1, 10_000],
    ] as const) {
      for (const tookMs of [300, 8_000]) {
        it(`of ${part * 100} % that are ${outcome} for ${holdMs} ms beside answers of ${tookMs} ms stops nobody`, async () => {
          const s = await Subject.create((now) => createMemoryLimiter({ now }), quota);
          const model = turningAway(part, outcome, holdMs, tookMs);
          // 90 % of the quota.
          const seen = await run(s, { everyMs: 56, untilMs: 5 * MINUTE, model });
          expect(seen.opened).toEqual([]);
          expect(answered(seen)).toBeGreaterThan(0.92);
        });
      }
    }
  }

  it("is heeded when everything fails, and when nothing was answered lately", async () => {
    const model: Model = ({ atMs }) =>
      atMs >= MINUTE && atMs < 1.5 * MINUTE
        ? { tookMs: 100, outcome: "failed", holdMs: 30 * SECOND }
        : { tookMs: 300, outcome: "ok" };
    const seen = await run(await pool(), { everyMs: 100, untilMs: 3 * MINUTE, model });
    expect(seen.calls.filter((call) => call.outcome === "failed").length).toBeLessThan(10);
    const s = await pool();
    await s.ask("first");
    expect(await s.settle("first", "failed", { holdMs: 30_000 })).toMatchObject({ shutMs: 30_000 });
  });

  it("stops the pool for as long as the server asks", async () => {
    const model: Model = ({ atMs }) =>
      atMs >= MINUTE && atMs < 1.5 * MINUTE
        ? { tookMs: 100, outcome: "throttled", holdMs: 30 * SECOND }
        : { tookMs: 300, outcome: "ok" };
    const seen = await run(await pool(), { everyMs: 100, untilMs: 3 * MINUTE, model });
    // Those that were under way when the first heard of it.
    expect(seen.calls.filter(({ outcome }) => outcome === "throttled").length).toBeLessThan(10);
    expect(back(seen, 1.5 * MINUTE)).toBeLessThan(100 * SECOND);
  });
});

it("tells the pool's name in no reservation", async () => {
  const s = await pool();
  await s.limiter.admit({
    pool: POOL,
    lane: "bulk",
    id: "anything",
    job: "a",
    cost: { tokens: 1 },
    ttlMs: 1_000,
  });
  expect(await s.settle("anything")).toMatchObject({ type: "settled", probe: false, shutMs: 0 });
});
