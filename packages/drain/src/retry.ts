/**
 * What follows a failed call: when the job comes back, whether the try counts, or that it is dead. Full jitter, as
 * AWS's own builders' library advises: it spreads a herd best for its simplicity.
 */
import { OWN_FAILURES, type Failure, type FailureKind, type Random } from "@sluice/job";

export type NextStep =
  | { readonly type: "retry"; readonly delayMs: number; readonly attempt: boolean }
  | { readonly type: "dead"; readonly failure: Failure };

interface Policy {
  readonly retry: boolean;
  /** Whether a try counts against the job. */
  readonly attempt: boolean;
  readonly baseMs: number;
  readonly capMs: number;
}

/** A throttle costs deadline, never an attempt: the quota is not the job's fault. */
const POLICIES: Readonly<Record<FailureKind, Policy>> = {
  throttled: { retry: true, attempt: false, baseMs: 2_000, capMs: 120_000 },
  transient: { retry: true, attempt: true, baseMs: 1_000, capMs: 60_000 },
  systemic: { retry: true, attempt: false, baseMs: 5_000, capMs: 60_000 },
  terminal: { retry: false, attempt: true, baseMs: 0, capMs: 0 },
};

/** Credentials that stay broken for this many tries are not a passing fault of the job's surroundings. */
const MAX_SYSTEMIC_DEFERRALS = 3;

/** Below this a retry would only meet what the last try met. */
const FLOOR_MS = 250;

/** A server's own hint is honoured up to here: waiting in the delayed set holds nothing. */
const MAX_HINT_MS = 5 * 60_000;

export interface Try {
  readonly attemptsMade: number;
  readonly attemptsStarted: number;
  readonly maxAttempts: number;
  /** How often a systemic failure has put the job off before. */
  readonly systemicDeferrals: number;
  readonly now: number;
  readonly deadlineAt: number;
  readonly random: Random;
}

/** Decides what follows a failure of this try. Pure. */
export function nextStep(failure: Failure, tried: Try): NextStep {
  const policy = POLICIES[failure.kind];
  if (!policy.retry) return { type: "dead", failure };
  if (policy.attempt && tried.attemptsMade + 1 >= tried.maxAttempts) return { type: "dead", failure };
  if (failure.kind === "systemic" && tried.systemicDeferrals >= MAX_SYSTEMIC_DEFERRALS) {
    return { type: "dead", failure };
  }
  const earlier = policy.attempt ? tried.attemptsMade : tried.attemptsStarted - tried.attemptsMade - 1;
  const delayMs = delay(policy, earlier, failure.retryAfterMs, tried.random);
  if (tried.now + delayMs >= tried.deadlineAt) return { type: "dead", failure: outOfTime(failure) };
  return { type: "retry", delayMs, attempt: policy.attempt };
}

/** How long a job waits whose pool has too many retries under way already. */
export function longestDelayMs(kind: FailureKind, random: Random): number {
  return POLICIES[kind].capMs * (0.5 + random() / 2);
}

function delay(policy: Policy, earlier: number, hintMs: number | undefined, random: Random): number {
  const jitter = random() * Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(earlier, 20));
  if (hintMs === undefined) return Math.max(FLOOR_MS, jitter);
  return Math.min(hintMs, MAX_HINT_MS) + jitter / 4;
}

function outOfTime(last: Failure): Failure {
  return {
    kind: "terminal",
    errorClass: OWN_FAILURES.deadline,
    message: `No time left for another try; the last one ended with ${last.errorClass}`,
  };
}

/** Whether another model may well answer what this one could not: it is overloaded, errs for good, or keeps timing out. */
export function mayAnswerElsewhere(failure: Failure, attemptsMade: number): boolean {
  if (failure.dimension === "capacity" || failure.errorClass === "ModelErrorException") return true;
  return failure.errorClass === "ModelTimeoutException" && attemptsMade > 0;
}
