/** What a pool may use of the account, and how: as those who accept jobs and those who drain them count it. */
import {
  lanesNamed,
  type BreakerLimits,
  type CeilingLimits,
  type LaneLimits,
  type PoolLimits,
} from "@sluice/limits";
import type { Scope } from "./schema.ts";

/** What of a pool the limiter knows. */
export interface LimitedPool {
  readonly quota: { readonly tokensPerMinute: number; readonly requestsPerMinute: number | null };
  readonly share: number;
  readonly lanes: readonly string[];
  /** What lanes have of their own, by name. */
  readonly laneSettings: Readonly<Record<string, Partial<Omit<LaneLimits, "name">>>>;
  readonly pace?: number | undefined;
  readonly ceiling?: Partial<CeilingLimits> | undefined;
  readonly breaker?: Partial<BreakerLimits> | undefined;
}

/**
 * The limits of a pool as the file has them. What the file leaves out is left out here too: a limiter that learns a
 * better default uses it, and a file that says nothing new makes no new version of the limits.
 */
export function poolLimits(pool: LimitedPool, { tokensPerDay }: Pick<Scope, "tokensPerDay">): PoolLimits {
  const { share, pace, ceiling, breaker, lanes, laneSettings } = pool;
  const { tokensPerMinute, requestsPerMinute } = pool.quota;
  return {
    quota: {
      tokensPerMinute,
      ...(requestsPerMinute === null ? {} : { requestsPerMinute }),
      ...(tokensPerDay === null ? {} : { tokensPerDay }),
    },
    share,
    lanes: lanesNamed(lanes).map((lane) => ({ ...lane, ...laneSettings[lane.name] })),
    ...(pace === undefined ? {} : { pace }),
    ...(ceiling === undefined ? {} : { ceiling }),
    ...(breaker === undefined ? {} : { breaker }),
  };
}
