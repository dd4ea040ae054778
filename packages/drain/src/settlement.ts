/** What the quota and the breaker are told about a call, by how it ended. Pure. */
import { FAILURES, type FailureRule, type JobRequest } from "@sluice/job";
import type { CallResult, Cost, Entry, Settlement } from "./ports.ts";

export type Failed = Extract<CallResult, { type: "failed" }>;

export const NOTHING: Cost = {
  requests: 0,
  tokens: 0,
  "input-tokens": 0,
  "output-tokens": 0,
  "tokens-per-day": 0,
};
export const ONE_REQUEST: Cost = { ...NOTHING, requests: 1 };

/** What a failed call costs the quota. */
export function costOf({ charge, observedOutputTokens }: Failed, { model }: Entry, work: JobRequest): Cost {
  if (charge === "nothing") return NOTHING;
  return charge === "request" ? ONE_REQUEST : model.unfinished(work, observedOutputTokens);
}

/** No connection came about: every call of the process may meet the same, and no call of others. */
const NEVER_SENT: ReadonlySet<FailureRule> = new Set(["unreachable", "untrusted"]);

/** What a failure says about the pool. */
export function settlementOf({
  failure,
  rule,
  stood,
}: Failed): Pick<Settlement, "outcome" | "throttledDimension" | "weight" | "holdMs" | "unreached"> {
  const { health, about } = FAILURES[rule];
  const { kind, dimension, retryAfterMs } = failure;
  // The server's hint is about its state, not about this job: everybody heeds it.
  const hold = retryAfterMs === undefined ? {} : { holdMs: retryAfterMs };
  if (about === "access") return { outcome: "systemic" };
  const unreached = NEVER_SENT.has(rule) ? { unreached: failure.errorClass } : {};
  if (health !== undefined && stood !== true) {
    return { outcome: health.as, weight: health.weight, ...hold, ...unreached };
  }
  if (kind !== "throttled") return { outcome: "neutral" };
  // Not a rate, so the ceiling has nothing to learn; but the server wants to be left alone.
  if (dimension === "capacity") return { outcome: "neutral", ...hold };
  if (dimension === undefined || dimension === "unknown") return { outcome: "throttled", ...hold };
  return { outcome: "throttled", throttledDimension: dimension, ...hold };
}
