import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Slots, type ReleaseSlot } from "../src/index.ts";

const LANES = ["critical", "standard", "bulk"];
const SHARES = { standard: 0.1, bulk: 0.05 };
const never = new AbortController().signal;

/** Resolves after everything that was about to happen has happened. */
const settled = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Someone who wants a slot. */
interface Asker {
  readonly lane: string;
  readonly controller: AbortController;
  slot: ReleaseSlot | "waiting" | "aborted";
}

async function ask(slots: Slots, lane: string, how: "acquire" | "acquireCall" = "acquire"): Promise<Asker> {
  const asker: Asker = { lane, controller: new AbortController(), slot: "waiting" };
  void slots[how](lane, asker.controller.signal).then((granted) => {
    asker.slot = granted ?? "aborted";
    return undefined;
  });
  await settled();
  return asker;
}

/** As many as the lane gets, and the first that has to wait. */
async function askForAll(slots: Slots, lane: string, how?: "acquire" | "acquireCall"): Promise<Asker[]> {
  const askers: Asker[] = [];
  for (;;) {
    const asker = await ask(slots, lane, how);
    askers.push(asker);
    if (asker.slot === "waiting") return askers;
  }
}

const has = (asker: Asker | undefined): boolean => typeof asker?.slot === "function";

function release(asker: Asker | undefined): void {
  if (typeof asker?.slot === "function") asker.slot();
}

/** A lane with a backlog: it wants a slot all the time, and holds what it got until it is told. */
function saturate(slots: Slots, lane: string, got: (lane: string, release: ReleaseSlot) => void): void {
  void (async () => {
    for (let slot = await slots.acquire(lane, never); slot; slot = await slots.acquire(lane, never)) {
      got(lane, slot);
    }
  })();
}

describe("Slots", () => {
  test.each([2, 2.5, Number.NaN])("refuses %d slots for three lanes", (total) => {
    expect(() => new Slots(LANES, total)).toThrow(
      new RangeError(`Expected slots to be an integer of at least 3 (1 for each of 3 lanes), got ${total}`),
    );
  });

  test.each(["acquire", "acquireCall"] as const)(
    "keep one for each more urgent lane, however much another wants: %s",
    async (how) => {
      const slots = new Slots(LANES, 10);
      expect((await askForAll(slots, "bulk", how)).filter(has)).toHaveLength(8);
      expect(has(await ask(slots, "standard", how))).toBe(true);
      expect(has(await ask(slots, "critical", how))).toBe(true);
      expect(has(await ask(slots, "critical", how))).toBe(false);
    },
  );

  test("go to the most urgent lane that waits, and in order within it", async () => {
    const slots = new Slots(LANES, 4);
    const bulk = await askForAll(slots, "bulk");
    await ask(slots, "standard");
    await ask(slots, "critical");
    const [first, second] = [await ask(slots, "critical"), await ask(slots, "critical")];
    release(bulk[0]);
    await settled();
    expect([first, second, bulk.at(-1)].map(has)).toEqual([true, false, false]);
    release(bulk[1]);
    await settled();
    expect([second, bulk.at(-1)].map(has)).toEqual([true, false]);
  });

  // With three, one is always kept for standard: it gets more than its share.
  test.each([
    [3, ["critical", "standard", "bulk"], { critical: 0.8, standard: 0.09, bulk: 0.04 }],
    [4, ["standard", "bulk"], { standard: 0.92, bulk: 0.045 }],
    [32, ["critical", "standard", "bulk"], { critical: 0.84, standard: 0.09, bulk: 0.045 }],
  ])("%d of them are shared as the quota is by saturated %s", async (total, lanes, least) => {
    const slots = new Slots(LANES, total, SHARES);
    const turns = new Map<string, number>();
    const held: ReleaseSlot[] = [];
    const got = (lane: string, slot: ReleaseSlot): void => {
      turns.set(lane, (turns.get(lane) ?? 0) + 1);
      held.push(slot);
    };
    for (const lane of lanes) saturate(slots, lane, got);
    await settled();
    turns.clear();
    for (let turn = 0; turn < 400; turn += 1) {
      held.shift()?.();
      await settled();
    }
    for (const [lane, share] of Object.entries(least)) {
      expect((turns.get(lane) ?? 0) / 400).toBeGreaterThanOrEqual(share);
    }
    expect((turns.get("bulk") ?? 0) / 400).toBeLessThanOrEqual(0.08);
  });

  test("for a call are not held by those who only ask, and are given before any to fetch with", async () => {
    const slots = new Slots(["bulk"], 2);
    const asking = await askForAll(slots, "bulk");
    const calls = await askForAll(slots, "bulk", "acquireCall");
    expect(calls.filter(has)).toHaveLength(2);
    expect(slots.calls).toBe(2);
    asking.forEach(release);
    await settled();
    expect(has(asking.at(-1))).toBe(false);
    release(calls[0]);
    await settled();
    expect([calls.at(-1), asking.at(-1)].map(has)).toEqual([true, false]);
  });

  test("are there for the first job of a lane, whoever asks below it", async () => {
    const slots = new Slots(LANES, 4);
    // Two calls of bulk, and one more that asks; then the calls of standard that were granted start.
    const bulk = [await ask(slots, "bulk", "acquireCall"), await ask(slots, "bulk")];
    const standard = await askForAll(slots, "standard", "acquireCall");
    expect([...bulk, ...standard.slice(0, -1)].map(has)).not.toContain(false);
    expect(has(await ask(slots, "critical"))).toBe(true);
  });

  test("are not taken by someone who gave up, before or while waiting", async () => {
    const slots = new Slots(["bulk"], 1);
    expect(await slots.acquireCall("bulk", AbortSignal.abort())).toBeUndefined();
    const holder = await ask(slots, "bulk", "acquireCall");
    expect(slots.tryAcquireCall("bulk")).toBeUndefined();
    const [gone, next] = [await ask(slots, "bulk", "acquireCall"), await ask(slots, "bulk", "acquireCall")];
    gone.controller.abort();
    await settled();
    expect(gone.slot).toBe("aborted");
    release(holder);
    await settled();
    expect(has(next)).toBe(true);
    expect(slots.calls).toBe(1);
  });

  test("given back twice count once", async () => {
    const slots = new Slots(["bulk"], 2);
    const first = await slots.acquireCall("bulk", never);
    await slots.acquireCall("bulk", never);
    first?.();
    first?.();
    expect(slots.calls).toBe(1);
  });

  test("are never more calls than the total, never idle while wanted, and never all with the less urgent", async () => {
    const step = fc.record({
      what: fc.constantFrom("ask", "call", "release", "abort"),
      lane: fc.constantFrom(...LANES),
      which: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 5 }), fc.array(step, { maxLength: 60 }), async (extra, steps) => {
        const total = LANES.length + extra;
        const slots = new Slots(LANES, total, SHARES);
        const askers: (Asker & { readonly calls: boolean })[] = [];
        for (const { what, lane, which } of steps) {
          if (what === "ask" || what === "call") {
            const calls = what === "call";
            askers.push(Object.assign(await ask(slots, lane, calls ? "acquireCall" : "acquire"), { calls }));
          }
          const candidates = askers.filter((asker) =>
            what === "release" ? has(asker) : asker.slot === "waiting",
          );
          const chosen = candidates[which % Math.max(1, candidates.length)];
          if (what === "release" && chosen !== undefined) {
            release(chosen);
            chosen.slot = "aborted";
          }
          if (what === "abort") chosen?.controller.abort();
          await settled();

          const calls = LANES.map(
            (each) => askers.filter((asker) => asker.calls && has(asker) && asker.lane === each).length,
          );
          const sum = calls.reduce((all, ofLane) => all + ofLane, 0);
          expect(slots.calls).toBe(sum);
          expect(sum).toBeLessThanOrEqual(total);
          for (const [place, each] of LANES.entries()) {
            const kept = calls.slice(0, place).filter((ofLane) => ofLane === 0).length;
            const waits = askers.some(
              (asker) => asker.calls && asker.slot === "waiting" && asker.lane === each,
            );
            expect(waits && sum + kept < total).toBe(false);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
