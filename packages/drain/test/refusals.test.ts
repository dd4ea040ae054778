/** Refused signatures of one pool, or of one job, are theirs while the same credentials serve others. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ACCEPTED, EXPIRED, given, OWN } from "./guarded.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

test("a pool that no credentials serve is refused for its own sake beside one that they serve", async () => {
  const { call, events, admit } = given();
  await call(ACCEPTED, 0, { pool: "good" });
  for (let job = 0; job < 10; job += 1) {
    expect(await call(EXPIRED, 0, { pool: "bad", job: `bad-${job}` })).toEqual(OWN);
  }
  expect(events).toEqual([]);
  expect(await admit("next", "bad")).toMatchObject({ type: "granted" });
});

test("a pool that was let in and is refused has lost its credentials, whatever others have", async () => {
  const { call, events } = given();
  await call(ACCEPTED, 0, { pool: "good" });
  await call(ACCEPTED);
  expect(await call(EXPIRED)).toEqual(EXPIRED);
  expect(events).toHaveLength(1);
});

test("what others were let in with long ago proves nothing", async () => {
  const { call, events } = given();
  await call(ACCEPTED, 0, { pool: "good" });
  await vi.advanceTimersByTimeAsync(300_001);
  expect(await call(EXPIRED, 0, { pool: "bad" })).toEqual(EXPIRED);
  expect(events).toHaveLength(1);
});

test("a job that is refused again and again is, when others of its pool are let in between", async () => {
  const { call, events, now } = given();
  await call(ACCEPTED, 0, { job: "good" });
  await vi.advanceTimersByTimeAsync(1);
  expect(await call(EXPIRED, 0, { job: "bad" })).toEqual(EXPIRED);
  await now();
  await vi.advanceTimersByTimeAsync(1);
  await call(ACCEPTED, 0, { job: "good" });
  for (let round = 0; round < 3; round += 1) {
    expect(await call(EXPIRED, 0, { job: "bad" })).toEqual(OWN);
    await vi.advanceTimersByTimeAsync(1);
    expect(await call(ACCEPTED, 0, { job: "good" })).toEqual(ACCEPTED);
  }
  // Its first refusal, before anybody knew.
  expect(events).toEqual([
    ["identity:lost", expect.anything()],
    ["identity:found", expect.anything()],
  ]);
});

test("while one pool is refused, another tries the same credentials once", async () => {
  const { call, admit, events, now, guard } = given();
  await call(EXPIRED, 0, { pool: "bad" });
  await now();
  await admit("a", "bad");
  await call(EXPIRED, 0, { pool: "bad", job: "a" });
  expect(await admit("b", "bad")).toMatchObject({ type: "open", elsewhere: true });
  await guard.ready("good", new AbortController().signal);
  expect(await admit("c", "good")).toMatchObject({ type: "granted" });
  expect(await admit("d", "good")).toEqual({ type: "open", afterMs: 500, cause: "identity" });
  await call(ACCEPTED, 0, { pool: "good", job: "c" });
  expect(await admit("d", "good")).toMatchObject({ type: "granted" });
  expect(events).toHaveLength(2);
});
