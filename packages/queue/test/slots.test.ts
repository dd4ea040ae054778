import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Slots, type ReleaseSlot } from "../src/index.ts";

const LANES = ["critical", "standard", "bulk"];
const never = new AbortController().signal;

/** Resolves after everything that was about to happen has happened. */
const settled = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Someone who asked for a slot. */
interface Asker {
  readonly lane: string;
  readonly controller: AbortController;
  slot: ReleaseSlot | "waiting" | "aborted";
}

async function ask(slots: Slots, lane: string): Promise<Asker> {
  const asker: Asker = { lane, controller: new AbortController(), slot: "waiting" };
  void slots.acquire(lane, asker.controller.signal).then((granted) => {
    asker.slot = granted ?? "aborted";
    return undefined;
  });
  await settled();
  return asker;
}

async function holdAll(slots: Slots, lane: string): Promise<Asker[]> {
  const held: Asker[] = [];
  for (;;) {
    const asker = await ask(slots, lane);
    held.push(asker);
    if (asker.slot === "waiting") return held;
  }
}

function release(asker: Asker | undefined): void {
  if (typeof asker?.slot === "function") asker.slot();
}

describe("Slots", () => {
  test.each([2, 2.5, Number.NaN])("refuses %d slots for three lanes", (total) => {
    expect(() => new Slots(LANES, total)).toThrow(
      new RangeError(`Expected slots to be an integer of at least 3 (1 for each of 3 lanes), got ${total}`),
    );
  });

  test("leave every lane its minimum however much another takes", async () => {
    const slots = new Slots(LANES, 10, 2);
    const bulk = await holdAll(slots, "bulk");
    expect(bulk.filter(({ slot }) => slot !== "waiting")).toHaveLength(6);
    for (const lane of ["critical", "critical", "standard", "standard"]) {
      expect(await ask(slots, lane)).toMatchObject({ slot: expect.any(Function) as unknown });
    }
    expect(slots.used).toBe(10);
  });

  test("go to the most urgent waiting lane first, and in order within a lane", async () => {
    const slots = new Slots(LANES, 4);
    const [first, second, bulk] = await holdAll(slots, "bulk");
    await ask(slots, "critical");
    const critical = await ask(slots, "critical");
    const nextCritical = await ask(slots, "critical");
    release(first);
    await settled();
    expect([critical.slot, nextCritical.slot, bulk?.slot]).toEqual([
      expect.any(Function),
      "waiting",
      "waiting",
    ]);
    // What comes free now is the minimum of the bulk lane: it is not for others.
    release(second);
    await settled();
    expect([nextCritical.slot, bulk?.slot]).toEqual(["waiting", expect.any(Function)]);
  });

  test("are not taken by someone who gave up, before or while waiting", async () => {
    const slots = new Slots(["bulk"], 1);
    expect(await slots.acquire("bulk", AbortSignal.abort())).toBeUndefined();
    const holder = await ask(slots, "bulk");
    const [gone, next] = [await ask(slots, "bulk"), await ask(slots, "bulk")];
    gone.controller.abort();
    await settled();
    expect(gone.slot).toBe("aborted");
    release(holder);
    await settled();
    expect(next.slot).toEqual(expect.any(Function));
    expect(slots.used).toBe(1);
  });

  test("given back twice count once", async () => {
    const slots = new Slots(["bulk"], 2);
    const first = await slots.acquire("bulk", never);
    await slots.acquire("bulk", never);
    first?.();
    first?.();
    expect(slots.used).toBe(1);
  });

  test("are never more than the total, never idle while wanted, and a minimum is always there", async () => {
    const step = fc.record({
      what: fc.constantFrom("ask", "release", "abort"),
      lane: fc.constantFrom(...LANES),
      which: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 3 }),
        fc.nat({ max: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (minimum, extra, steps) => {
          const total = LANES.length * minimum + extra;
          const slots = new Slots(LANES, total, minimum);
          const askers: Asker[] = [];
          const inState = (state: "waiting" | "function", lane?: string): Asker[] =>
            askers.filter(
              (asker) =>
                (state === "waiting" ? asker.slot === "waiting" : typeof asker.slot === "function") &&
                (lane === undefined || asker.lane === lane),
            );
          for (const { what, lane, which } of steps) {
            if (what === "ask") askers.push(await ask(slots, lane));
            const candidates = inState(what === "release" ? "function" : "waiting");
            const chosen = candidates[which % Math.max(1, candidates.length)];
            if (what === "release" && chosen !== undefined) {
              release(chosen);
              chosen.slot = "aborted";
            }
            if (what === "abort") chosen?.controller.abort();
            await settled();

            const used = LANES.map((each) => inState("function", each).length);
            const shared = used.reduce((sum, held) => sum + Math.max(0, held - minimum), 0);
            expect(slots.used).toBe(used.reduce((sum, held) => sum + held, 0));
            expect(slots.used).toBeLessThanOrEqual(total);
            for (const [index, each] of LANES.entries()) {
              if (inState("waiting", each).length === 0) continue;
              expect(used[index]).toBeGreaterThanOrEqual(minimum);
              expect(shared).toBe(extra);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
