/** A healthy model that is slow to answer and quick to fail now and then: how much of what is offered gets through? */
import type { PoolsFile } from "../pools-file.ts";

export interface SporadicArm {
  readonly name: string;
  /** How long an answer takes, milliseconds. */
  readonly latencyMs: number;
  /** What some calls meet at once, and how many of all. */
  readonly fault: string;
  readonly rate: number;
  /** Jobs offered, a second. */
  readonly perSecond: number;
}

/** Three quarters of the quota: retries have room, and nothing waits for long in a healthy pool. */
const OFFERED_SHARE = 0.75;

/** Calls that are out at once on one of two workers, and some more. */
const SPARE_SLOTS = 16;

export const LANE = "standard";

/**
 * Failures come at once and answers late, so the slower the model, the longer failures are all there is to count: the
 * rate is one at which twenty of them end within ten seconds, or before the first answer.
 */
const MODELS = [
  { latencyMs: 300, perSecond: 10 },
  { latencyMs: 8_000, perSecond: 30 },
  { latencyMs: 30_000, perSecond: 10 },
];

const TROUBLES = [
  { name: "503", fault: "ServiceUnavailableException", rates: [0.01, 0.03, 0.1] },
  { name: "throttle", fault: "too-many-requests", rates: [0.01, 0.03] },
];

export const ARMS: readonly SporadicArm[] = MODELS.flatMap((model) =>
  TROUBLES.flatMap(({ name, fault, rates }) =>
    rates.map((rate) => ({
      name: `${model.latencyMs / 1_000}s-${name}-${rate * 100}`,
      fault,
      rate,
      ...model,
    })),
  ),
);

/** One of each latency and trouble: the highest rate that is promised to be harmless. */
export const DEFAULT_ARMS: readonly SporadicArm[] = ARMS.filter(
  ({ fault, rate }) => rate === (fault === "too-many-requests" ? 0.03 : 0.1),
);

export function modelOf({ name }: SporadicArm): string {
  return `us.anthropic.claude-haiku-4-5-${name}`;
}

/** Pool names have no dots. */
export function poolOf({ name }: SporadicArm): string {
  return name.replace(".", "-");
}

export function poolsFile(arms: readonly SporadicArm[], workers: number): PoolsFile {
  const pools = arms.map((arm) => [
    poolOf(arm),
    {
      scope: "main",
      model: modelOf(arm),
      lanes: [LANE],
      burndown: 1,
      slots: Math.ceil((arm.perSecond * arm.latencyMs * 1.5) / 1_000 / workers) + SPARE_SLOTS,
      quota: {
        tokensPerMinute: 10_000_000,
        requestsPerMinute: Math.ceil((arm.perSecond * 60) / OFFERED_SHARE),
      },
    },
  ]);
  return { scopes: { main: { region: "us-east-1" } }, pools: Object.fromEntries(pools) };
}

export function models(arms: readonly SporadicArm[]): Record<string, object> {
  return Object.fromEntries(
    arms.map((arm) => [
      modelOf(arm),
      {
        tokensPerMinute: 1e9,
        requestsPerMinute: null,
        burndown: 1,
        latency: { timeToFirstTokenMs: arm.latencyMs, tokensPerSecond: 1_000, sigma: 0.1 },
        answer: { medianTokens: 20 },
      },
    ]),
  );
}
