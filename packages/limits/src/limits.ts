/** The limits of a pool: what the pools file may say, the defaults, and the form the scripts read. */
import { rateDimensions, type RateDimension } from "./cost.ts";

/** A priority class. Lanes are listed from most to least urgent. */
export interface LaneLimits {
  readonly name: string;
  /**
   * How far ahead of its start a call may be granted, in ms of quota. Short keeps the order of lanes and the
   * reaction to throttles quick; long lets a lane take the quota before those below it.
   */
  readonly horizonMs: number;
  /** Private reserve in ms of quota: only this lane may draw the level that far below zero. */
  readonly reserveMs: number;
  /** Fraction of the quota the lane gets whatever the others ask for. 0: none. */
  readonly share: number;
}

/** Quotas as Bedrock states them. Each is optional; a missing one is not limited. */
export interface Quota {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly inputTokensPerMinute?: number;
  readonly outputTokensPerMinute?: number;
  /** Of the scope: one figure across all its pools. */
  readonly tokensPerDay?: number;
}

export interface PoolLimits {
  readonly quota: Quota;
  /** From most to least urgent. `defaultLanes` suits most pools. */
  readonly lanes: readonly LaneLimits[];
  /** Fraction of the quota that is used at most. Default 0.985: a server that starts empty never catches up. */
  readonly pace?: number;
  /** Quota that an idle pool may save up, in ms. Default 1000: over any minute burst and pace stay within 100 %. */
  readonly burstMs?: number;
}

/** Measured defaults; shares are honoured first, so critical waits stay short up to about 75 % of the quota. */
export const defaultLanes: readonly LaneLimits[] = [
  { name: "critical", horizonMs: 2_000, reserveMs: 3_000, share: 0 },
  { name: "standard", horizonMs: 500, reserveMs: 0, share: 0.1 },
  { name: "bulk", horizonMs: 100, reserveMs: 0, share: 0.05 },
];

export const defaults = {
  pace: 0.985,
  burstMs: 1_000,
  /** A lane with credit may commit this far ahead. Must exceed every horizon + reserve, or shares starve. */
  guaranteeHorizonMs: 6_000,
  /** Credit a lane may save up, in ms of quota. */
  guaranteeCreditMs: 2_000,
  /** Longest distance between the tickets of a lane that waits for its share. */
  guaranteeSpacingMs: 500,
  /** Weight of the newest call in a lane's moving average of used / reserved. */
  usageWeight: 0.05,
  /** One call cannot push that average above this. */
  usageCap: 1.5,
  /** A clock that steps back further than this (failover) is believed; a smaller step is waited out. */
  clockStepMs: 2_000,
  /** Expired reservations dropped per admit. Bounded, so that admit stays cheap. */
  sweepLimit: 5,
} as const;

const MINUTE_MS = 60_000;

export const quotaNames: Record<RateDimension, keyof Quota> = {
  requests: "requestsPerMinute",
  tokens: "tokensPerMinute",
  "input-tokens": "inputTokensPerMinute",
  "output-tokens": "outputTokensPerMinute",
};

/** A rate as the scripts use it. */
export interface Rate {
  /** Units per ms: quota x pace. */
  readonly perMs: number;
  /** Highest level: what an idle pool saves up. */
  readonly capacity: number;
}

/** Everything the scripts need to know of a pool, with all defaults filled in. */
export interface Parameters extends Omit<typeof defaults, "pace" | "burstMs"> {
  readonly rates: Readonly<Partial<Record<RateDimension, Rate>>>;
  readonly lanes: readonly LaneLimits[];
}

/**
 * Checks limits and fills in the defaults.
 * @throws RangeError "Expected `x` to be ..., got ..."
 */
export function resolveLimits(limits: PoolLimits): Parameters {
  const { pace: defaultPace, burstMs: defaultBurstMs, ...rest } = defaults;
  const pace = limits.pace ?? defaultPace;
  const burstMs = limits.burstMs ?? defaultBurstMs;
  expect("pace", pace, pace > 0 && pace <= 1, "a fraction above 0 and at most 1");
  expect("burstMs", burstMs, burstMs > 0 && burstMs <= MINUTE_MS, "between 1 and 60000 ms");
  const rates: Partial<Record<RateDimension, Rate>> = {};
  for (const dimension of rateDimensions) {
    const name = quotaNames[dimension];
    const quota = limits.quota[name];
    if (quota === undefined) continue;
    expect(`quota.${name}`, quota, Number.isFinite(quota) && quota > 0, "a number above 0");
    const perMs = (quota / MINUTE_MS) * pace;
    const capacity = perMs * burstMs;
    rates[dimension] = { perMs, capacity: dimension === "requests" ? Math.max(1, capacity) : capacity };
  }
  checkLanes(limits.lanes);
  return { ...rest, rates, lanes: limits.lanes };
}

function checkLanes(lanes: readonly LaneLimits[]): void {
  const names = lanes.map((lane) => lane.name);
  expect("lanes", names.join(", "), names.length > 0, "at least one lane");
  expect("lanes", names.join(", "), new Set(names).size === names.length, "lanes with different names");
  for (const { name, horizonMs, reserveMs, share } of lanes) {
    expect(`lanes.${name}.horizonMs`, horizonMs, horizonMs >= 0, "0 ms or more");
    expect(`lanes.${name}.reserveMs`, reserveMs, reserveMs >= 0, "0 ms or more");
    expect(`lanes.${name}.share`, share, share >= 0 && share < 1, "a fraction of at least 0 and below 1");
    const ahead = horizonMs + reserveMs;
    const most = defaults.guaranteeHorizonMs;
    expect(
      `lanes.${name}`,
      ahead,
      ahead < most,
      `horizonMs + reserveMs below ${most} ms, or shares would starve`,
    );
  }
  const shares = lanes.reduce((sum, lane) => sum + lane.share, 0);
  expect("lanes", shares, shares < 1, "shares that add up to less than 1");
}

function expect(name: string, value: unknown, holds: boolean, what: string): void {
  if (!holds) throw new RangeError(`Expected \`${name}\` to be ${what}, got ${JSON.stringify(value)}`);
}
