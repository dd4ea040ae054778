/**
 * The scripts against their twin: random commands in virtual time, equal decisions. Every grant is asked for
 * again and every settle is sent twice, so a resent command is part of each run.
 *
 * SLUICE_MODEL_RUNS sets the number of sequences; 2000 for a nightly run.
 */
import { randomUUID } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import * as fc from "fast-check";
import { afterAll, expect, inject, it } from "vitest";
import {
  createMemoryLimiter,
  createRedisLimiter,
  defaultLanes,
  type Admission,
  type Inspection,
  type OperableLimiter,
  type OperatorAction,
  type PoolLimits,
  type Settlement,
} from "../src/index.ts";
import { poolKeys } from "../src/keys.ts";

const RUNS = Number(process.env["SLUICE_MODEL_RUNS"] ?? 200);
const POOL = "model";
const START = 1_800_000_000_000;
/** Waits are whole ms, rounded up, of values that differ in their last bits. */
const TOLERANCE_MS = 2;

const limits: PoolLimits = {
  quota: {
    requestsPerMinute: 1_200,
    tokensPerMinute: 600_000,
    outputTokensPerMinute: 120_000,
    tokensPerDay: 40_000_000,
  },
  lanes: defaultLanes,
  // Small, so that short sequences reach every state.
  breaker: {
    minimumCalls: 3,
    failures: 3,
    suspects: 3,
    suspectJobs: 2,
    probesMost: 2,
    outageJobs: 2,
    suspectsKept: 4,
  },
  retry: { most: 3 },
};

interface AdmitCommand {
  readonly type: "admit";
  readonly lane: string;
  readonly job: number;
  /** A job has several calls out where a worker died. */
  readonly attempt: number;
  readonly tokens: number;
  readonly ttlMs: number;
  readonly process: string | undefined;
  readonly operation: string;
}
interface SettleCommand {
  readonly type: "settle";
  /** Which of the open reservations. */
  readonly pick: number;
  readonly outcome: Outcome;
  readonly used: number;
  readonly dimension: "tokens" | "requests" | "input-tokens" | "tokens-per-day" | undefined;
  readonly weight: number;
  readonly operation: string;
  readonly retry: boolean;
  readonly holdMs: number;
}
type Outcome = Settlement["outcome"];
type Command =
  | AdmitCommand
  | SettleCommand
  | { readonly type: "pass"; readonly ms: number }
  | { readonly type: "operate"; readonly action: OperatorAction }
  | { readonly type: "restore" }
  | { readonly type: "quota"; readonly tokensPerMinute: number };

const admitCommand = fc.record({
  type: fc.constant("admit" as const),
  lane: fc.constantFrom("critical", "standard", "bulk"),
  job: fc.oneof(fc.nat(2), fc.nat(9)),
  attempt: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.nat(3)),
  tokens: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 5_000 }) }, fc.nat(150_000)),
  ttlMs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(180_000) },
    // Of streams and of long answers.
    { weight: 2, arbitrary: fc.constantFrom(3_600_000, 420_000) },
    fc.integer({ min: 1, max: 4_000 }),
  ),
  process: fc.constantFrom("one", "two", undefined),
  operation: fc.constantFrom("", "a", "b"),
});
const settleCommand = fc.record({
  type: fc.constant("settle" as const),
  pick: fc.nat(50),
  // Some sequences see hardly an answer: an outage, or denied access.
  outcome: fc.oneof(
    fc.constantFrom<Outcome>("ok", "ok", "ok", "failed", "timeout", "throttled", "systemic", "neutral"),
    fc.constantFrom<Outcome>("failed", "timeout", "systemic"),
  ),
  used: fc.double({ min: 0, max: 2, noNaN: true }),
  dimension: fc.constantFrom("tokens", "tokens", "requests", "input-tokens", "tokens-per-day", undefined),
  weight: fc.constantFrom(1, 0.5),
  operation: fc.constantFrom("", "a", "b"),
  retry: fc.boolean(),
  holdMs: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(400_000)),
});
const passCommand = fc.record({
  type: fc.constant("pass" as const),
  ms: fc.oneof(
    { weight: 6, arbitrary: fc.nat(1_500) },
    { weight: 2, arbitrary: fc.nat(90_000) },
    { weight: 1, arbitrary: fc.integer({ min: -10_000, max: 0 }) },
    { weight: 1, arbitrary: fc.nat(90_000_000) },
  ),
});
const actions = fc.constantFrom<OperatorAction>(
  { type: "open", forMs: 2_000 },
  { type: "close" },
  { type: "isolate" },
  { type: "release-day" },
);
const commands = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: admitCommand },
    { weight: 8, arbitrary: settleCommand },
    { weight: 6, arbitrary: passCommand },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("operate" as const), action: actions }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("restore" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant("quota" as const),
        tokensPerMinute: fc.integer({ min: 60_000, max: 2_000_000 }),
      }),
    },
  ),
  { minLength: 5, maxLength: 60, size: "max" },
);

const redis = connect(inject("redisUrl"), "command", () => undefined);
afterAll(() => redis.disconnect());

it(`decides as its twin does, over ${RUNS} sequences`, { timeout: 600_000 }, async () => {
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => runBoth(sequence)),
    { numRuns: RUNS },
  );
});

async function runBoth(sequence: readonly Command[]): Promise<void> {
  const clock = { ms: START };
  const now = (): number => clock.ms;
  const space = keySpace("limits-model", randomUUID());
  const both: Both = {
    real: createRedisLimiter({ redis, keySpace: space, now }),
    twin: createMemoryLimiter({ now }),
  };
  await both.real.configure(POOL, limits);
  await both.twin.configure(POOL, limits);
  const open = new Map<string, number>();
  try {
    for (const command of sequence) {
      // oxlint-disable-next-line no-await-in-loop -- a sequence is one
      await step(both, command, open, clock);
    }
    await expectSameState(both);
  } finally {
    await redis.del(Object.values(poolKeys(space, POOL)));
  }
}

interface Both {
  readonly real: OperableLimiter;
  readonly twin: OperableLimiter;
}

async function step(
  both: Both,
  command: Command,
  open: Map<string, number>,
  clock: { ms: number },
): Promise<void> {
  const { real, twin } = both;
  switch (command.type) {
    case "pass":
      clock.ms += command.ms;
      return;
    case "operate":
      expectSame(await real.operate(POOL, command.action), await twin.operate(POOL, command.action));
      return;
    case "restore":
      await Promise.all([real.restore(POOL, limits), twin.restore(POOL, limits)]);
      return;
    case "quota": {
      const change = { tokensPerMinute: command.tokensPerMinute };
      expectSame(await real.setQuota(POOL, change), await twin.setQuota(POOL, change));
      return;
    }
    case "admit": {
      const { lane, tokens, ttlMs, process, operation } = command;
      const id = `job${command.job}/${command.attempt}/${POOL}`;
      const cost = { requests: 1, tokens, "output-tokens": tokens / 5, "tokens-per-day": tokens };
      const caller = process === undefined ? {} : { process, operation };
      const request = { pool: POOL, lane, id, job: `job${command.job}`, cost, ttlMs, ...caller };
      const before = await twin.inspect(POOL);
      const answer = await real.admit(request);
      expectSame(answer, await twin.admit(request));
      if (answer.type !== "granted") return;
      const known = open.has(id);
      expectLawful(answer, before, known);
      open.set(id, tokens);
      const again = await real.admit(request);
      expectSame(again, await twin.admit(request));
      // One that was held already may have run out meanwhile, and be swept by this question.
      if (!known) expectSame(again, { ...answer, changes: undefined });
      return;
    }
    case "settle": {
      const id = [...open.keys()][command.pick % Math.max(1, open.size)];
      if (id === undefined) return;
      const tokens = (open.get(id) ?? 0) * command.used;
      open.delete(id);
      const { outcome, weight, operation, retry, dimension, holdMs } = command;
      const settlement: Settlement = {
        pool: POOL,
        id,
        outcome,
        actual: { tokens, "tokens-per-day": tokens },
        weight,
        operation,
        retry,
        holdMs,
        ...(dimension === undefined ? {} : { throttledDimension: dimension }),
      };
      expectSame(await real.settle(settlement), await twin.settle(settlement));
      expect(await real.settle(settlement)).toEqual({ type: "late" });
      expect(await twin.settle(settlement)).toEqual({ type: "late" });
    }
  }
}

/** No grant while the pool takes no calls, and no more probes under way than there may be. */
function expectLawful(
  answer: Extract<Admission, { type: "granted" }>,
  before: Inspection,
  known: boolean,
): void {
  if (known) return;
  const { breaker, takesCalls } = before;
  expect(takesCalls).toBe(answer.probe !== true);
  // The eldest probe of an outage gives its place to the next.
  const most = breaker.phase === "half-open" ? 2 : 0;
  if (answer.probe === true) expect(breaker.probes.length).toBeLessThanOrEqual(most);
}

async function expectSameState({ real, twin }: Both): Promise<void> {
  const state = await twin.inspect(POOL);
  expectSame(await real.inspect(POOL), state);
  for (const { level, capacity, ceiling } of Object.values(state.dimensions)) {
    expect(level).toBeLessThanOrEqual(capacity);
    expect(ceiling).toBeGreaterThanOrEqual(0.05);
    expect(ceiling).toBeLessThanOrEqual(1);
  }
  const cost = { tokens: 3_000, requests: 1 };
  for (const { name } of state.lanes) {
    // oxlint-disable-next-line no-await-in-loop -- three short questions
    expectSame(await real.explain(POOL, name, cost), await twin.explain(POOL, name, cost));
  }
}

/** Equal but for the last bits of numbers. */
function expectSame(real: unknown, twin: unknown): void {
  if (typeof real === "number" && typeof twin === "number") {
    expect(Math.abs(real - twin)).toBeLessThanOrEqual(TOLERANCE_MS);
  } else if (isRecord(real) && isRecord(twin)) {
    expect(named(real)).toEqual(named(twin));
    for (const key of named(real)) expectSame(real[key], twin[key]);
  } else {
    expect(real).toEqual(twin);
  }
}

/** Keys that have a value. */
function named(of: Record<string, unknown>): string[] {
  const keys = Object.keys(of).filter((key) => of[key] !== undefined);
  return keys.toSorted();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
