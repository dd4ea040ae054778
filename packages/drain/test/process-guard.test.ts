/** A process without credentials asks for nothing, tries new ones with one call at a time, and goes on. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { anyReady, type Told } from "../src/index.ts";
import { ACCEPTED, EXPIRED, given } from "./guarded.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("with credentials", () => {
  test("everything passes, and nothing is told", async () => {
    const { admit, call, events, guard } = given();
    expect(await admit("a")).toEqual({ type: "granted", waitMs: 0 });
    await call(ACCEPTED);
    await call({ type: "nothing" });
    expect(events).toEqual([]);
    expect(guard.out).toBeUndefined();
  });
});

describe("a call that meets expired ones", () => {
  test("closes the gate for this process, and says so once", async () => {
    const { admit, call, events, changes, guard, asked } = given(["ExpiredTokenException"]);
    await Promise.all([call(EXPIRED), call(EXPIRED)]);
    expect(await admit("a")).toEqual({ type: "open", afterMs: 5_000, cause: "identity", elsewhere: true });
    expect(asked).toEqual([]);
    expect(events).toEqual([["identity:lost", { scope: "main", errorClass: "ExpiredTokenException" }]]);
    expect(changes).toEqual([{ why: "identity", errorClass: "ExpiredTokenException", since: 0 }]);
    expect(guard.out).toEqual({ why: "identity", errorClass: "ExpiredTokenException", since: 0 });
  });

  test("has new ones got at once, and one call tries them", async () => {
    const { admit, call, settle, events, now, renewedAt } = given();
    await call(EXPIRED);
    await now();
    expect(renewedAt).toEqual([0]);
    expect(await admit("a")).toEqual({ type: "granted", waitMs: 0 });
    expect(await admit("b")).toEqual({ type: "open", afterMs: 500, cause: "identity" });
    await call(ACCEPTED);
    await settle("a");
    expect(await admit("b")).toEqual({ type: "granted", waitMs: 0 });
    expect(events.at(-1)).toEqual(["identity:found", { scope: "main", afterMs: 0 }]);
  });

  test("a try that is refused is followed by the next after 5 s, 10 s, … 60 s", async () => {
    const { call, now, renewedAt } = given();
    await call(EXPIRED);
    await now();
    const pauses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      await call(EXPIRED);
      const refusedAt = Date.now();
      await vi.advanceTimersToNextTimerAsync();
      pauses.push((renewedAt.at(-1) ?? 0) - refusedAt);
    }
    expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  test.each([
    ["set back", -3_600_000],
    ["ahead all at once", 3_600_000],
  ])("waits as long as it should when the clock is %s", async (_how, byMs) => {
    const { call, admit, now, events } = given(["CredentialsProviderError"]);
    await call(EXPIRED);
    await now();
    vi.setSystemTime(Date.now() + byMs);
    const open = { type: "open", cause: "identity", elsewhere: true };
    expect(await admit("a")).toEqual({ ...open, afterMs: 5_000 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await admit("a")).toEqual({ type: "granted", waitMs: 0 });
    await call(ACCEPTED);
    expect(events.at(-1)).toEqual(["identity:found", { scope: "main", afterMs: 5_000 }]);
  });

  test("no call is made while none come", async () => {
    const { call, admit, renewedAt } = given(["CredentialsProviderError", "CredentialsProviderError"]);
    await call(EXPIRED);
    await vi.advanceTimersByTimeAsync(14_999);
    expect(renewedAt).toEqual([0, 5_000]);
    expect(await admit("a")).toEqual({ type: "open", afterMs: 1, cause: "identity", elsewhere: true });
    await vi.advanceTimersByTimeAsync(1);
    expect(renewedAt).toEqual([0, 5_000, 15_000]);
    expect(await admit("a")).toMatchObject({ type: "granted" });
  });

  test("many that are refused together have new ones got once, and the pauses grow by one step", async () => {
    const failing = "CredentialsProviderError";
    const { admit, call, settle, renewedAt } = given([failing, failing, failing], 100);
    const ids = Array.from({ length: 20 }, (_, index) => `job-${index}`);
    await Promise.all(ids.map(async (id) => admit(id)));
    await Promise.all(
      ids.map(async (id) => {
        await call(EXPIRED);
        // While the renewal is under way.
        await vi.advanceTimersByTimeAsync(1);
        await settle(id);
      }),
    );
    await vi.advanceTimersByTimeAsync(16_000);
    expect(renewedAt).toEqual([0, 5_100, 15_200]);
  });

  test("what earlier credentials meet is heard no more", async () => {
    const { guard, call, now } = given();
    const slow = Promise.withResolvers<Told>();
    const late = guard.hear({
      subject: { pool: "claude", job: "slow" },
      make: () => slow.promise,
      tells: (told) => told,
      asOwn: (told) => told,
    });
    await call(EXPIRED);
    await now();
    await call(ACCEPTED);
    slow.resolve(EXPIRED);
    await late;
    expect(guard.out).toBeUndefined();
  });
});

describe("the call that tries new ones", () => {
  test("was let in when it is still out after three seconds, however long its model takes", async () => {
    const { call, admit, now, guard } = given();
    await call(EXPIRED);
    await now();
    await admit("a");
    const trying = call(ACCEPTED, 60_000);
    expect(guard.out).toBeDefined();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(guard.out).toBeUndefined();
    await trying;
  });

  test("leaves its place when it ends without a word", async () => {
    const { call, admit, settle, now } = given();
    await call(EXPIRED);
    await now();
    await admit("a");
    await call({ type: "nothing" });
    expect(await admit("b")).toMatchObject({ type: "open" });
    await settle("a");
    expect(await admit("b")).toMatchObject({ type: "granted" });
  });

  test("loses its place when it is never heard of again, and not before its start", async () => {
    const { admit, now, call, admission, guard } = given();
    await call(EXPIRED);
    await now();
    admission.next = { type: "granted", waitMs: 60_000 };
    await admit("a");
    admission.next = { type: "granted", waitMs: 0 };
    await vi.advanceTimersByTimeAsync(104_999);
    expect(await admit("b")).toMatchObject({ type: "open" });
    await vi.advanceTimersByTimeAsync(1);
    expect(await admit("b")).toMatchObject({ type: "granted" });
    guard.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("leaves its place when the quota has none for it", async () => {
    const { call, admit, now, admission } = given();
    await call(EXPIRED);
    await now();
    admission.next = { type: "wait", afterMs: 70 };
    expect(await admit("a")).toEqual({ type: "wait", afterMs: 70 });
    admission.next = { type: "granted", waitMs: 0 };
    expect(await admit("b")).toMatchObject({ type: "granted" });
  });
});

describe("whoever fetches jobs", () => {
  test("waits until there are credentials to try", async () => {
    const { guard, call } = given(["CredentialsProviderError"]);
    const { signal } = new AbortController();
    await guard.ready("claude", signal);
    await call(EXPIRED);
    const ready = vi.fn<() => void>();
    const waiting = guard.ready("claude", signal).finally(ready);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(ready).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
  });

  test("waits while none of the scopes has any that may answer, and no longer", async () => {
    const failing = "CredentialsProviderError";
    const [lost, alsoLost, held] = [given([failing, failing]), given([failing]), given()];
    await lost.call(EXPIRED);
    await alsoLost.call(EXPIRED);
    await lost.now();
    const { signal } = new AbortController();
    await anyReady([lost.asPool, held.asPool], signal);
    const ready = vi.fn<() => void>();
    const waiting = anyReady([lost.asPool, alsoLost.asPool], signal).finally(ready);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(ready).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
    expect(lost.guard.out).toBeDefined();
    const stopping = new AbortController();
    const left = anyReady([lost.asPool], stopping.signal);
    stopping.abort();
    await left;
  });

  test("stops to wait when the process stops", async () => {
    const { guard, call } = given(["CredentialsProviderError"]);
    await call(EXPIRED);
    const stopping = new AbortController();
    const waiting = guard.ready("claude", stopping.signal);
    stopping.abort();
    await waiting;
    guard.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
