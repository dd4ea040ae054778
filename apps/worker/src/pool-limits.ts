/** A pool of the pools file as the limiter wants it. */
import type { Pool, Scope } from "@sluice/config";
import { defaultLanes, type LaneLimits, type PoolLimits } from "@sluice/limits";

/** A lane without measured defaults of its own gets those of its place: first critical, last bulk, else standard. */
function laneLimits(name: string, index: number, count: number): LaneLimits {
  const place = index === 0 ? "critical" : index === count - 1 ? "bulk" : "standard";
  const limits =
    defaultLanes.find((lane) => lane.name === name) ?? defaultLanes.find((lane) => lane.name === place);
  if (limits === undefined) throw new Error(`There are no default limits for lane '${place}'`);
  return { ...limits, name };
}

/** The daily quota is the scope's: every pool of it brings the same figure. */
export function poolLimits({ quota, lanes }: Pool, scope: Scope | undefined): PoolLimits {
  const { tokensPerMinute, requestsPerMinute } = quota;
  const tokensPerDay = scope?.tokensPerDay ?? null;
  return {
    quota: {
      tokensPerMinute,
      ...(requestsPerMinute === null ? {} : { requestsPerMinute }),
      ...(tokensPerDay === null ? {} : { tokensPerDay }),
    },
    lanes: lanes.map((name, index) => laneLimits(name, index, lanes.length)),
  };
}
