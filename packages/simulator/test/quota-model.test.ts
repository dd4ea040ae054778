/** The three windows against closed forms that share nothing with them, under virtual time. */
import { array, assert, constantFrom, integer, oneof, property, record, constant } from "fast-check";
import { describe, expect, test } from "vitest";
import { baseline } from "../src/models/defaults.ts";
import { createMeter, type Reservation } from "../src/quota/meter.ts";

const PER_MINUTE = 6_000;

/** Everything that ever happened to one window, in order. A refund names the moment of its taking. */
interface Event {
  readonly atMs: number;
  readonly taken: number;
  readonly refundOf?: number;
}

type Available = (history: readonly Event[], nowMs: number, capacitySeconds: number) => number;

const sum = (events: readonly Event[]): number => events.reduce((total, { taken }) => total + taken, 0);

const models: Readonly<Record<"bucket" | "fixed" | "sliding", Available>> = {
  // A level that is cut off at the capacity: the free path, less the most it has ever run over.
  bucket: (history, nowMs, capacitySeconds) => {
    const capacity = (PER_MINUTE / 60) * capacitySeconds;
    const free = (atMs: number, events: readonly Event[]): number =>
      capacity + (PER_MINUTE / 60_000) * atMs - sum(events);
    const path = history.flatMap(({ atMs }, index) => [
      free(atMs, history.slice(0, index)),
      free(atMs, history.slice(0, index + 1)),
    ]);
    const level = free(nowMs, history);
    return level - Math.max(0, ...[...path, level].map((at) => at - capacity));
  },
  fixed: (history, nowMs, capacitySeconds) => {
    const indexOf = (atMs: number): number => Math.floor(atMs / (capacitySeconds * 1_000));
    const counts = ({ atMs, refundOf = atMs }: Event): boolean =>
      indexOf(atMs) === indexOf(nowMs) && indexOf(refundOf) === indexOf(nowMs);
    return (PER_MINUTE / 60) * capacitySeconds - sum(history.filter(counts));
  },
  sliding: (history, nowMs, capacitySeconds) => {
    const counts = ({ atMs, refundOf = atMs }: Event): boolean => refundOf > nowMs - capacitySeconds * 1_000;
    return (PER_MINUTE / 60) * capacitySeconds - sum(history.filter(counts));
  },
};

const step = oneof(
  // Whole tenths of a second meet the edges of the windows exactly.
  record({
    kind: constant("wait" as const),
    ms: integer({ min: 1, max: 150 }).map((tenths) => tenths * 100),
  }),
  record({ kind: constant("admit" as const), tokens: integer({ min: 0, max: 4_000 }) }),
  record({
    kind: constant("run-down" as const),
    call: integer({ min: 0, max: 9 }),
    spent: integer({ min: 0, max: 6_000 }),
  }),
  record({
    kind: constant("settle" as const),
    call: integer({ min: 0, max: 9 }),
    spent: integer({ min: 0, max: 6_000 }),
  }),
);

describe.each(["bucket", "fixed", "sliding"] as const)("a %s window", (window) => {
  test("decides as its closed form does, through reserve, run-down, settle and debt", () => {
    assert(
      property(
        constantFrom(10, 60),
        array(step, { minLength: 20, maxLength: 60, size: "max" }),
        (capacitySeconds, steps) => {
          const meter = createMeter(
            { ...baseline, tokensPerMinute: PER_MINUTE, window, capacitySeconds },
            null,
            0,
          );
          const history: Event[] = [];
          const open: Reservation[] = [];
          const expected: boolean[] = [];
          const decided: boolean[] = [];
          let now = 0;
          for (const each of steps) {
            if (each.kind === "wait") {
              now += each.ms;
              continue;
            }
            if (each.kind === "admit") {
              expected.push(models[window](history, now, capacitySeconds) >= each.tokens - 1e-6);
              const admission = meter.admit(now, each.tokens);
              decided.push(admission.admitted);
              if (!admission.admitted) continue;
              open.push(admission.reservation);
              history.push({ atMs: now, taken: each.tokens });
              continue;
            }
            const [reservation] = open.splice(each.call, 1);
            if (reservation === undefined) continue;
            const beyond = each.spent - reservation.charged;
            if (beyond > 0) history.push({ atMs: now, taken: beyond });
            if (each.kind === "run-down") {
              open.push(meter.runDown(now, reservation, each.spent));
              continue;
            }
            if (beyond < 0) history.push({ atMs: now, taken: beyond, refundOf: reservation.atMs });
            meter.settle(now, reservation, each.spent);
          }
          expect(decided).toEqual(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
