/** Failures that Sluice itself ends a job with. */
import { OWN_FAILURES, type Failure } from "@sluice/job";

/** A job that lost more calls than this because their worker died is dead. */
export const MAX_LOST_CALLS = 3;

/** @param times how often its worker vanished under it. */
export function stalledTooOften(times: number, deferredFailure?: string): Failure {
  const message = deferredFailure ?? `Its worker vanished under it ${times} times`;
  return { kind: "terminal", errorClass: OWN_FAILURES.stalled.errorClass, message: message.slice(0, 200) };
}

export function malformed(): Failure {
  return {
    kind: "terminal",
    errorClass: OWN_FAILURES.malformed.errorClass,
    message: "The job's data is not of a version this worker can read",
  };
}

export function callCap(calls: number): Failure {
  return {
    kind: "terminal",
    errorClass: OWN_FAILURES.callCap.errorClass,
    message: `${calls} calls that may have been paid were made for it, and no answer was stored`,
  };
}

export function asyncTimeout(limitMs: number): Failure {
  return {
    kind: "terminal",
    errorClass: OWN_FAILURES.asyncTimeout.errorClass,
    message: `Bedrock did not finish within ${Math.round(limitMs / 1_000)} s`,
  };
}
