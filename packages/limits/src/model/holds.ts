/**
 * Whether everybody heeds the time for which a failed call was told to wait. A healthy service turns a few calls away at any
 * rate, and there a hold costs everything: 1 % of failures with a `Retry-After` of 10 s would leave a third of the rate. So
 * a hold needs most of the latest calls to have failed, or a pool that answers nobody; the job itself waits in any case.
 * Twin of `lua/holds.lua`.
 */
import type { SettleOutcome } from "../limiter.ts";
import type { Parameters } from "../parameters.ts";
import type { PoolState } from "./state.ts";

/** A share so small that the next call need not look. */
const FORGOTTEN = 0.001;

/** A call was let go. The share is one of starts: failures end first, answers of slow models seconds later. */
export function countForHolds(parameters: Parameters, state: PoolState): void {
  if (state.failing === undefined) return;
  state.failing *= 1 - parameters.ceiling.lateWeight;
  if (state.failing < FORGOTTEN) delete state.failing;
}

/** A call has failed, or was turned away with a time to wait. */
export function noteFailing({ ceiling }: Parameters, state: PoolState): void {
  const { failing = 0 } = state;
  state.failing = failing + ceiling.lateWeight * (1 - failing);
}

/**
 * After what the breaker makes of the outcome.
 * @param sign of a throttle: whether it is one of the quota. Another is about its call, and so is the time it gives.
 */
export function isHeeded(
  parameters: Parameters,
  state: PoolState,
  outcome: SettleOutcome,
  sign: boolean,
): boolean {
  if (outcome === "throttled") return sign;
  if (outcome === "ok" || outcome === "systemic") return false;
  const { breaker, at: now, failing = 0 } = state;
  if (breaker.phase !== "closed" || now - breaker.answeredAt > parameters.breaker.forgetMs) return true;
  return failing >= parameters.ceiling.clusterShare;
}
