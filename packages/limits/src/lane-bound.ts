/** What a lane gets whatever the others ask for. `bench/test/limits.test.ts` holds the simulated fleet to it. */
import { rateDimensions, type RateDimension } from "./cost.ts";
import { quotaNames, type PoolLimits } from "./limits.ts";
import { resolveLimits } from "./parameters.ts";

/** Beside a backlog in a more urgent lane the least urgent gets this much more than its share at most. Measured. */
const MOST_OF_SHARE = 1.6;

export interface LaneBound {
  readonly lane: string;
  /**
   * Fraction of the quota that the lane gets at least, over any time in which it has a backlog; less one largest cost
   * and `behindMs`. 0: nothing is guaranteed.
   */
  readonly leastShare: number;
  /**
   * How far behind its share the lane may be beside that, in ms of the whole quota: what it may save up, and what comes
   * before the next of its jobs is back to ask.
   */
  readonly behindMs: number;
  /** What `leastShare` comes to per minute, in the dimensions that have a quota. */
  readonly leastPerMinute: Readonly<Partial<Record<RateDimension, number>>>;
  /** With `leastShare`, for the least urgent lane: what it gets at most beside a backlog in a more urgent one. */
  readonly mostShare: number | undefined;
}

/**
 * The bound of one lane, at a ceiling of 1.
 * @throws RangeError for an unknown lane.
 */
export function laneBound(limits: PoolLimits, lane: string): LaneBound {
  const { rates, lanes, guaranteeCreditMs, guaranteeSpacingMs } = resolveLimits(limits);
  const found = lanes.find(({ name }) => name === lane);
  if (!found) {
    const names = lanes.map(({ name }) => name).join(", ");
    throw new RangeError(`Expected \`lane\` to be one of ${names}, got '${lane}'`);
  }
  const { share } = found;
  const perMinute = rateDimensions
    .filter((dimension) => limits.quota[quotaNames[dimension]] !== undefined)
    .map((dimension) => [dimension, (rates[dimension]?.perMs ?? 0) * 60_000 * share]);
  const last = lanes.length > 1 && lanes.at(-1) === found;
  return {
    lane,
    leastShare: share,
    behindMs: share * (guaranteeCreditMs + guaranteeSpacingMs),
    leastPerMinute: Object.fromEntries(perMinute),
    mostShare: last && share > 0 ? share * MOST_OF_SHARE : undefined,
  };
}
