/** Any order of asking, ending, dying and coming back agrees with a model of a few lines. */
import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { testKeySpace } from "../../redis/test/redis.ts";
import { member, type Member } from "./fleet.ts";
import { completed } from "./samples.ts";

const MAX_CALLS = 4;
const MEMBERS = 3;

interface Model {
  calls: number;
  inFlight: number | undefined;
  ended: boolean;
  readonly alive: Set<number>;
}

function permission({ calls, inFlight, ended, alive }: Model, who: number): string {
  if (ended) return "ended";
  if (inFlight !== undefined && alive.has(inFlight)) return "busy";
  if (!alive.has(who)) return "busy";
  return calls >= MAX_CALLS ? "cap" : "go";
}

/** Takes a step in the model and in Redis; what each says to it. */
type Step = (
  model: Model,
  who: number,
  member: Member,
  id: string,
) => Promise<{ says: unknown; is: unknown }>;

/** Ends the call of `who` in the model, if it has one in flight. */
function close(model: Model, who: number, change: number): boolean {
  if (model.inFlight !== who) return false;
  model.inFlight = undefined;
  model.calls += change;
  return true;
}

const steps = {
  begin: async (model, who, { ledger, owner }, id) => {
    const says = permission(model, who);
    if (says === "go") {
      model.calls += 1;
      model.inFlight = who;
    }
    const asked = await ledger.begin({ id, owner, maxCalls: MAX_CALLS, leaseMs: 60_000 });
    if (asked.type !== "go") return { says, is: asked.type };
    return { says: `${says} ${String(model.calls)}`, is: `go ${String(asked.call)}` };
  },
  end: async (model, who, { ledger, owner }, id) => ({
    says: close(model, who, 0),
    is: await ledger.end({ id, owner }),
  }),
  abandon: async (model, who, { ledger, owner }, id) => ({
    says: close(model, who, -1),
    is: await ledger.abandon({ id, owner }),
  }),
  put: async (model, who, { outcomes, owner }, id) => {
    const says = !model.ended;
    model.ended = true;
    close(model, who, 0);
    return { says, is: await outcomes.putAndClose({ ...completed, id }, owner) };
  },
  die: async (model, who, { heartbeat }) => {
    model.alive.delete(who);
    return { says: undefined, is: await heartbeat.stop() };
  },
  live: async (model, who, { heartbeat }) => {
    model.alive.add(who);
    return { says: undefined, is: await heartbeat.start() };
  },
} satisfies Record<string, Step>;

const step = fc.record({
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant("begin" as const) },
    { weight: 2, arbitrary: fc.constantFrom("end", "abandon") },
    { weight: 2, arbitrary: fc.constantFrom("die", "live") },
    { weight: 1, arbitrary: fc.constant("put" as const) },
  ),
  who: fc.nat({ max: MEMBERS - 1 }),
});

test("the ledger is its model", async () => {
  const space = testKeySpace();
  const fleet = await Promise.all(Array.from({ length: MEMBERS }, async () => member(space)));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (sequence) => {
      const id = `p.bulk.${randomUUID()}`;
      const model: Model = { calls: 0, inFlight: undefined, ended: false, alive: new Set(fleet.keys()) };
      for (const { heartbeat } of fleet) await heartbeat.start();
      for (const { what, who } of sequence) {
        const one = fleet[who];
        if (one === undefined) continue;
        const { says, is } = await steps[what](model, who, one, id);
        expect(is).toEqual(says);
      }
    }),
    { numRuns: 150 },
  );
  expect.hasAssertions();
});
