/** Can a cost ever be admitted? Asked at enqueue, where the caller still hears the answer. */
import { rateDimensions, type Cost } from "./cost.ts";
import { quotaNames, defaults, type PoolLimits } from "./limits.ts";

/**
 * What is wrong with a cost that no minute of the quota could carry; `undefined` when it fits.
 * @param limits the pool's limits; lanes do not matter.
 */
export function misfit(limits: Pick<PoolLimits, "quota" | "pace">, cost: Cost): string | undefined {
  const pace = limits.pace ?? defaults.pace;
  for (const dimension of rateDimensions) {
    const quota = limits.quota[quotaNames[dimension]];
    const amount = cost[dimension] ?? 0;
    if (quota === undefined || amount <= quota * pace) continue;
    const most = Math.floor(quota * pace);
    return (
      `Expected a cost of at most ${most} ${dimension} (${pace} of the pool's ${quota} per minute), ` +
      `got ${amount}: shorten the prompt, lower \`max_tokens\` or raise the quota`
    );
  }
  return undefined;
}

/** Whether the pool's quota can ever admit this cost; `misfit` says why not. */
export function fits(limits: Pick<PoolLimits, "quota" | "pace">, cost: Cost): boolean {
  return misfit(limits, cost) === undefined;
}
