/**
 * What the server can see at most, whatever is asked: over any stretch of time T, the cost of the calls that start
 * in it is at most max(burst, largest cost) + reserve + rate x T, not counting what was given back meanwhile.
 *
 * SLUICE_MODEL_RUNS sets the number of sequences.
 */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { createMemoryLimiter, defaultLanes } from "../src/index.ts";
import { POOL, START } from "./harness.ts";

const RUNS = Number(process.env["SLUICE_MODEL_RUNS"] ?? 200) * 5;
const PER_MS = 1;
const BURST_MS = 1_000;
const RESERVE_MS = 3_000;

interface Call {
  readonly id: string;
  readonly cost: number;
  readonly admittedAt: number;
  readonly startAt: number;
}

const commands = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant("admit" as const),
        lane: fc.constantFrom("critical", "critical", "standard", "bulk"),
        cost: fc.oneof({ weight: 5, arbitrary: fc.nat(800) }, fc.nat(12_000)),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("settle" as const),
        pick: fc.nat(30),
        used: fc.double({ min: 0, max: 1.5, noNaN: true }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.nat(3_000) }) },
  ),
  { minLength: 10, maxLength: 80, size: "max" },
);

it("never lets more start than burst, reserve and rate allow", { timeout: 120_000 }, async () => {
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const clock = { ms: START };
      const limiter = createMemoryLimiter({ now: () => clock.ms });
      const quota = { tokensPerMinute: PER_MS * 60_000 };
      await limiter.configure(POOL, { quota, pace: 1, burstMs: BURST_MS, lanes: defaultLanes });
      const calls: Call[] = [];
      const open: Call[] = [];
      const credits: { at: number; amount: number }[] = [];
      for (const command of sequence) {
        if (command.type === "pass") {
          clock.ms += command.ms;
        } else if (command.type === "admit") {
          const { lane, cost } = command;
          const id = `${calls.length}`;
          const request = { pool: POOL, lane, id, job: id, cost: { tokens: cost }, ttlMs: 1e9 };
          // oxlint-disable-next-line no-await-in-loop -- a sequence is one
          const answer = await limiter.admit(request);
          if (answer.type !== "granted") continue;
          const call = { id, cost, admittedAt: clock.ms, startAt: clock.ms + answer.waitMs };
          calls.push(call);
          open.push(call);
        } else {
          const [call] = open.splice(command.pick % Math.max(1, open.length), 1);
          if (!call) continue;
          const tokens = call.cost * command.used;
          // oxlint-disable-next-line no-await-in-loop -- as above
          await limiter.settle({ pool: POOL, id: call.id, outcome: "ok", actual: { tokens } });
          credits.push({ at: clock.ms, amount: Math.max(0, call.cost - tokens) });
        }
      }
      expectBounded(calls, credits);
    }),
    { numRuns: RUNS },
  );
});

function expectBounded(calls: readonly Call[], credits: readonly { at: number; amount: number }[]): void {
  const byStart = calls.toSorted((a, b) => a.startAt - b.startAt);
  const largest = Math.max(BURST_MS * PER_MS, ...calls.map(({ cost }) => cost));
  for (const [first, { startAt: from }] of byStart.entries()) {
    let sum = 0;
    let admits = { first: Infinity, last: -Infinity };
    for (const { cost, startAt, admittedAt } of byStart.slice(first)) {
      sum += cost;
      admits = { first: Math.min(admits.first, admittedAt), last: Math.max(admits.last, admittedAt) };
      const given = credits
        .filter(({ at }) => at >= admits.first && at <= admits.last)
        .reduce((total, { amount }) => total + amount, 0);
      const bound = largest + (RESERVE_MS + (startAt - from)) * PER_MS;
      // A start is told in whole ms, rounded up.
      expect(sum - given).toBeLessThanOrEqual(bound + PER_MS);
    }
  }
}
