/**
 * Operations that nobody may call while others are answered: the pool goes on, so somebody must be told. Twin of
 * `lua/denied.lua`.
 */
import type { LimitsChange } from "../limiter.ts";
import type { Parameters } from "../parameters.ts";
import type { Answered } from "./answers.ts";
import { areEnough, isAnsweredElsewhere, type Finding } from "./evidence.ts";
import type { PoolState } from "./state.ts";

/** News when an operation turns out to be denied, and when it is answered again; once each. After `hear`. */
export function tellDenied(
  parameters: Parameters,
  state: PoolState,
  pool: string,
  answers: readonly Answered[],
  { operation, outcome }: Pick<Finding, "operation" | "outcome">,
): readonly LimitsChange[] {
  const { denied = [], breaker } = state;
  const known = denied.includes(operation);
  if (known && (outcome === "ok" || outcome === "throttled")) {
    state.denied = denied.filter((one) => one !== operation);
    return [{ type: "operation-denied", pool, operation, denied: false }];
  }
  // The whole pool is suspected otherwise, or will be.
  if (known || outcome !== "systemic" || breaker.phase !== "closed") return [];
  if (!areEnough(parameters.breaker, breaker, operation)) return [];
  if (!isAnsweredElsewhere(answers, breaker.suspects, operation)) return [];
  state.denied = [...denied, operation].slice(-parameters.operationsKept);
  return [{ type: "operation-denied", pool, operation, denied: true }];
}
