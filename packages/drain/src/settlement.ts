/** What the quota is told about a call, by how it ended. Pure. */
import type { JobRequest } from "@sluice/job";
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

/** What a failed call costs. */
export function costOf({ billed, observedOutputTokens }: Failed, { model }: Entry, work: JobRequest): Cost {
  if (billed === "nothing") return NOTHING;
  return billed === "request" ? ONE_REQUEST : model.unfinished(work, observedOutputTokens);
}

/** What a failure says about the pool. An overloaded model is a failing pool, not a quota that was overdrawn. */
export function settlementOf(
  { failure, breaker }: Failed,
  work: JobRequest,
): Pick<Settlement, "outcome" | "throttledDimension" | "weight" | "shape"> {
  const { kind, dimension, errorClass } = failure;
  if (kind === "systemic") return { outcome: "systemic", shape: work.kind };
  if (breaker) {
    const outcome = TIMEOUTS.has(errorClass) ? "timeout" : "failed";
    return MODELS_OWN.has(errorClass) ? { outcome, weight: 0.5 } : { outcome };
  }
  if (kind !== "throttled" || dimension === "capacity") return { outcome: "neutral" };
  if (dimension === undefined || dimension === "unknown") return { outcome: "throttled" };
  return { outcome: "throttled", throttledDimension: dimension };
}

/** Failures by silence. */
const TIMEOUTS: ReadonlySet<string> = new Set(["TimeoutError", "ModelTimeoutException"]);

/** Failures that may be of one prompt and not of the pool. */
const MODELS_OWN: ReadonlySet<string> = new Set(["ModelTimeoutException", "ModelErrorException"]);
