/** A process that finds no way to Bedrock while others do keeps that to itself; with nobody else it is an outage. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { failed } from "./fakes.ts";
import { ACCEPTED, given } from "./guarded.ts";
import { settlementOf } from "../src/settlement.ts";

const LOST = ["way:lost", { scope: "main", errorClass: "ConnectionError" }];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

type Given = ReturnType<typeof given>;

/** Three calls that find none, and a fourth, of its own, a moment later. */
async function loseWay({ admit, miss, limiter }: Given, answeredAgoMs?: number): Promise<void> {
  for (const id of ["a", "b", "c"]) {
    await admit(id);
    await miss(id);
  }
  await vi.advanceTimersByTimeAsync(250);
  if (answeredAgoMs !== undefined) limiter.answeredAgoMs = answeredAgoMs;
  await admit("d");
  await miss("d");
}

test.each(["unreachable", "untrusted"] as const)("a call that was never sent says so: %s", (rule) => {
  const { failure } = failed(rule);
  expect(settlementOf(failed(rule))).toMatchObject({ outcome: "failed", unreached: failure.errorClass });
  expect(settlementOf(failed("cut"))).not.toHaveProperty("unreached");
});

test("with others answered meanwhile it asks for nothing, and says so once", async () => {
  const g = given();
  await loseWay(g, 20);
  expect(g.settled).toEqual(["failed", "failed", "failed", "failed"]);
  expect(await g.admit("e")).toEqual({ type: "open", afterMs: 5_000, cause: "way", elsewhere: true });
  expect(g.events).toEqual([LOST]);
  expect(g.guard.out).toMatchObject({ why: "way", errorClass: "ConnectionError" });
  const ready = vi.fn<() => void>();
  void g.guard.ready("claude", new AbortController().signal).finally(ready);
  await vi.advanceTimersByTimeAsync(4_999);
  expect(ready).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(ready).toHaveBeenCalled();
});

test("hundreds that fail together are a few failures for the breaker", async () => {
  const g = given();
  const ids = Array.from({ length: 200 }, (_, index) => `job-${index}`);
  await Promise.all(ids.map(async (id) => g.admit(id)));
  await Promise.all(ids.map(async (id) => g.miss(id)));
  expect(g.settled.filter((outcome) => outcome === "failed")).toHaveLength(3);
  expect(g.settled.filter((outcome) => outcome === "neutral")).toHaveLength(197);
});

test("one call tries after 5 s, 10 s, … 60 s, and tells the breaker nothing", async () => {
  const g = given();
  await loseWay(g, 20);
  g.settled.length = 0;
  const pauses: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const from = Date.now();
    await vi.advanceTimersToNextTimerAsync();
    pauses.push(Date.now() - from);
    expect(await g.admit(`try-${round}`)).toMatchObject({ type: "granted" });
    expect(await g.admit("other")).toMatchObject({ type: "open" });
    await g.miss(`try-${round}`);
  }
  expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  expect(g.settled).toEqual(pauses.map(() => "neutral"));
  expect(g.events).toEqual([LOST]);
});

test("it goes on as soon as that call is sent, however long its answer takes", async () => {
  const g = given();
  await loseWay(g, 20);
  await vi.advanceTimersByTimeAsync(5_000);
  await g.admit("try");
  const call = g.call(ACCEPTED, 60_000);
  expect(g.guard.out).toBeUndefined();
  expect(g.events.at(-1)).toEqual(["way:found", { scope: "main", afterMs: 5_250 }]);
  expect(await g.admit("e")).toMatchObject({ type: "granted" });
  await call;
});

test("with nobody answered it stays with the breaker: one call at a time is told as a failure", async () => {
  const g = given();
  await loseWay(g);
  for (let round = 0; round < 3; round += 1) {
    expect(await g.admit(`next-${round}`)).toMatchObject({ type: "open", afterMs: 250 });
    await vi.advanceTimersByTimeAsync(250);
    await g.admit(`next-${round}`);
    await g.miss(`next-${round}`);
  }
  expect(g.settled).toEqual(Array.from({ length: 7 }, () => "failed"));
  expect(g.events).toEqual([]);
});

test("its own last answers are not those of others", async () => {
  const g = given();
  for (const id of ["a", "b", "c"]) await g.miss(id);
  await vi.advanceTimersByTimeAsync(250);
  await g.settle("before", "ok");
  await vi.advanceTimersByTimeAsync(10);
  g.limiter.answeredAgoMs = 10;
  await g.admit("d");
  await g.miss("d");
  expect(g.events).toEqual([]);
});

test("calls that are sent in between keep a stumbling network from being none", async () => {
  const g = given();
  g.limiter.answeredAgoMs = 1;
  for (let round = 0; round < 20; round += 1) {
    await g.miss(`a-${round}`);
    await g.miss(`b-${round}`);
    await g.call(ACCEPTED);
  }
  expect(g.events).toEqual([]);
  expect(await g.admit("next")).toMatchObject({ type: "granted" });
});

test("others that fall silent too make it an outage, which the breaker hears of", async () => {
  const g = given();
  await loseWay(g, 20);
  const answeredAt = Date.now() - 20;
  g.settled.length = 0;
  const miss = async (): Promise<void> => {
    g.limiter.answeredAgoMs = Date.now() - answeredAt;
    await g.admit(`at-${Date.now()}`);
    await g.miss(`at-${Date.now()}`);
  };
  await vi.advanceTimersByTimeAsync(5_000);
  await miss();
  // It looks as soon as the last answer proves nothing, not after its pause of 10 s.
  await vi.advanceTimersByTimeAsync(5_001);
  await miss();
  for (let round = 0; round < 5; round += 1) {
    await vi.advanceTimersByTimeAsync(250);
    await miss();
  }
  expect(g.settled).toEqual(["neutral", "neutral", "failed", "failed", "failed", "failed", "failed"]);
});
