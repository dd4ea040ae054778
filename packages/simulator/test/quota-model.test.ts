/** The three windows against closed forms that share nothing with them, under virtual time. */
import { array, assert, constantFrom, integer, oneof, property, record, constant } from "fast-check";
import { describe, expect, test } from "vitest";
import { baseline } from "../src/models/defaults.ts";
import { createMeter, type Reservation } from "../src/quota/meter.ts";

const PER_MINUTE = 6_000;

interface Take {
  readonly atMs: number;
  readonly amount: number;
}

interface Refund extends Take {
  readonly takenAtMs: number;
}

/** Everything that ever happened to one window. */
interface History {
  readonly takes: Take[];
  readonly refunds: Refund[];
}

type Available = (history: History, nowMs: number, capacitySeconds: number) => number;

const sum = (entries: readonly Take[]): number => entries.reduce((total, { amount }) => total + amount, 0);

const models: Readonly<Record<"bucket" | "fixed" | "sliding", Available>> = {
  // A level that is cut off at the capacity: the free path, less the most it has ever run over.
  bucket: ({ takes, refunds }, nowMs, capacitySeconds) => {
    const capacity = (PER_MINUTE / 60) * capacitySeconds;
    const free = (atMs: number, isAfter: boolean): number => {
      const counts = (entry: Take): boolean => entry.atMs < atMs || (isAfter && entry.atMs === atMs);
      return (
        capacity + (PER_MINUTE / 60_000) * atMs - sum(takes.filter(counts)) + sum(refunds.filter(counts))
      );
    };
    const moments = [...takes, ...refunds].map(({ atMs }) => atMs);
    const overflow = Math.max(
      0,
      ...moments.map((atMs) => free(atMs, false) - capacity),
      ...moments.map((atMs) => free(atMs, true) - capacity),
      free(nowMs, true) - capacity,
    );
    return free(nowMs, true) - overflow;
  },
  fixed: ({ takes, refunds }, nowMs, capacitySeconds) => {
    const indexOf = (atMs: number): number => Math.floor(atMs / (capacitySeconds * 1_000));
    const isNow = (atMs: number): boolean => indexOf(atMs) === indexOf(nowMs);
    const taken = sum(takes.filter(({ atMs }) => isNow(atMs)));
    const given = sum(refunds.filter(({ atMs, takenAtMs }) => isNow(atMs) && isNow(takenAtMs)));
    return (PER_MINUTE / 60) * capacitySeconds - taken + given;
  },
  sliding: ({ takes, refunds }, nowMs, capacitySeconds) => {
    const isWithin = (atMs: number): boolean => atMs > nowMs - capacitySeconds * 1_000;
    const taken = sum(takes.filter(({ atMs }) => isWithin(atMs)));
    const given = sum(refunds.filter(({ takenAtMs }) => isWithin(takenAtMs)));
    return (PER_MINUTE / 60) * capacitySeconds - taken + given;
  },
};

const step = oneof(
  record({ kind: constant("wait" as const), ms: integer({ min: 1, max: 40_000 }) }),
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
      property(constantFrom(10, 60), array(step, { maxLength: 60 }), (capacitySeconds, steps) => {
        const meter = createMeter(
          { ...baseline, tokensPerMinute: PER_MINUTE, window, capacitySeconds },
          null,
          0,
        );
        const history: History = { takes: [], refunds: [] };
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
            history.takes.push({ atMs: now, amount: each.tokens });
            continue;
          }
          const [reservation] = open.splice(each.call, 1);
          if (reservation === undefined) continue;
          const beyond = each.spent - reservation.charged;
          if (beyond > 0) history.takes.push({ atMs: now, amount: beyond });
          if (each.kind === "run-down") {
            open.push(meter.runDown(now, reservation, each.spent));
            continue;
          }
          if (beyond < 0) history.refunds.push({ atMs: now, amount: -beyond, takenAtMs: reservation.atMs });
          meter.settle(now, reservation, each.spent);
        }
        expect(decided).toEqual(expected);
      }),
      { numRuns: 1_500 },
    );
  });
});
