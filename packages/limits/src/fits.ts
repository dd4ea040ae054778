/** Can a cost ever be admitted? Asked at enqueue, where the caller still hears the answer. */
import { rateDimensions, type Cost } from "./cost.ts";
import { defaults, quotaNames, type PoolLimits } from "./limits.ts";

type QuotaLimits = Pick<PoolLimits, "quota" | "pace" | "share">;

/**
 * What is wrong with a cost that no minute (or day) of the quota could carry; `undefined` when it fits. The pace is the
 * rate of many calls, not the size of one: a call of the whole quota waits a little longer than a minute for its cost.
 * The day's count has no such wait, so there the pace is part of what fits.
 * @param limits the pool's limits; lanes do not matter.
 */
export function misfit(limits: QuotaLimits, cost: Cost): string | undefined {
  const { pace = defaults.pace, share = defaults.share } = limits;
  for (const dimension of [...rateDimensions, "tokens-per-day"] as const) {
    const daily = dimension === "tokens-per-day";
    const quota = limits.quota[daily ? "tokensPerDay" : quotaNames[dimension]];
    const amount = cost[dimension] ?? 0;
    if (quota === undefined) continue;
    const usable = daily ? pace * share : share;
    // One request is as little as there is: at less than one a minute it waits for longer than a minute.
    const most = dimension === "requests" ? Math.max(1, quota * usable) : quota * usable;
    if (amount <= most) continue;
    const what = daily ? "tokens" : dimension;
    const of = usable === 1 ? "the pool's" : `${usable} of the pool's`;
    return (
      `Expected a cost of at most ${Math.floor(most)} ${what} ` +
      `(${of} ${quota} per ${daily ? "day" : "minute"}), got ${amount}: ` +
      "shorten the prompt, lower `max_tokens` or raise the quota"
    );
  }
  return undefined;
}

/** Whether the pool's quota can ever admit this cost; `misfit` says why not. */
export function fits(limits: QuotaLimits, cost: Cost): boolean {
  return misfit(limits, cost) === undefined;
}
