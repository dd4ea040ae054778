/** The pools that the trials know, and the files that name some of them. */
import type { PoolsFile } from "../pools-file.ts";

export const SCOPE = "main";
export const POOL = "claude";
/** Its calls take a few seconds. */
export const SLOW_POOL = "slow";
/** Answers to `async` only. */
export const ASYNC_POOL = "video";
export const LANE = "standard";
export const LANES = ["critical", "standard", "bulk"] as const;

/** Where `async` jobs may have their answers written. */
export const OUTPUT = "s3://fleets/answers";

export const SLOW_MS = 2_500;
/** A pool's model, for the simulator's faults too. Each has one of its own, since a quota is counted once. */
export const modelOf = (pool: string): string => `us.anthropic.claude-${pool}`;

/** Far more than all calls together: what is looked at here is not the limiter. */
export const TOKENS_PER_MINUTE = 100_000_000;

const model = (timeToFirstTokenMs: number) => ({
  tokensPerMinute: TOKENS_PER_MINUTE * 10,
  burndown: 1,
  latency: { timeToFirstTokenMs, tokensPerSecond: 100_000, sigma: 0 },
  answer: { medianTokens: 20, sigma: 0 },
});

/** The simulator's models. */
export const SIMULATED: Readonly<Record<string, unknown>> = {
  "*": model(150),
  [modelOf(SLOW_POOL)]: model(SLOW_MS),
  [modelOf(ASYNC_POOL)]: { kind: "async", latency: { timeToFirstTokenMs: 1_000, sigma: 0 } },
};

/** What one file says otherwise of a pool. */
export type PoolKeys = Readonly<Record<string, unknown>>;

/** A file with these pools, each with what it says otherwise. Default: all of them, and nothing else. */
export function poolsFile(pools: Readonly<Record<string, PoolKeys>> = ALL): PoolsFile {
  const entries = Object.entries(pools).map(([name, keys]) => [name, { ...usual(name), ...keys }] as const);
  return { scopes: { [SCOPE]: { region: "us-east-1" } }, pools: Object.fromEntries(entries) };
}

const ALL: Readonly<Record<string, PoolKeys>> = { [POOL]: {}, [SLOW_POOL]: {}, [ASYNC_POOL]: {} };

function usual(name: string) {
  return {
    scope: SCOPE,
    model: modelOf(name),
    quota: { tokensPerMinute: TOKENS_PER_MINUTE },
    burndown: 1,
    lanes: LANES,
    slots: 8,
    asyncOutputs: [OUTPUT],
  };
}
