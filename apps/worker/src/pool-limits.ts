/** A pool of the pools file as the limiter wants it. */
import type { Pool, Scope } from "@sluice/config";
import { lanesNamed, type PoolLimits } from "@sluice/limits";

/** The daily quota is the scope's: every pool of it brings the same figure. */
export function poolLimits({ quota, lanes, share }: Pool, scope: Scope | undefined): PoolLimits {
  const { tokensPerMinute, requestsPerMinute } = quota;
  const tokensPerDay = scope?.tokensPerDay ?? null;
  return {
    quota: {
      tokensPerMinute,
      ...(requestsPerMinute === null ? {} : { requestsPerMinute }),
      ...(tokensPerDay === null ? {} : { tokensPerDay }),
    },
    share,
    lanes: lanesNamed(lanes),
  };
}
