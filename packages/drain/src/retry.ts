/**
 * What follows a failed call: when the job comes back, whether the try counts, or that it is dead. A job dies of its own
 * faults only; for what is not its own fault it pays with time, up to its deadline. Full jitter, as AWS's own builders'
 * library advises: it spreads a herd best for its simplicity.
 */
import {
  deadlineFailure,
  FAILURES,
  OWN_FAILURES,
  type Failure,
  type FailureKind,
  type FailureRow,
  type LastFailure,
  type Notes,
  type Random,
} from "@sluice/job";
import type { Settled } from "./ports.ts";
import type { Failed } from "./settlement.ts";

export type NextStep =
  | {
      readonly type: "retry";
      readonly delayMs: number;
      /** Whether the try counts against the job's attempts. */
      readonly attempt: boolean;
      readonly notes: Notes;
    }
  | { readonly type: "dead"; readonly failure: Failure };

interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

const BACKOFFS: Readonly<Record<FailureKind, Backoff>> = {
  throttled: { baseMs: 2_000, capMs: 120_000 },
  transient: { baseMs: 1_000, capMs: 60_000 },
  systemic: { baseMs: 5_000, capMs: 60_000 },
  terminal: { baseMs: 1_000, capMs: 60_000 },
};

/** Another process has credentials of its own: the job shall reach it soon. */
const ELSEWHERE: Backoff = { baseMs: 1_000, capMs: 1_000 };

/** Below this a retry would only meet what the last try met. */
const FLOOR_MS = 250;

/** A server's own hint is honoured up to here: waiting in the delayed set holds nothing. */
const MAX_HINT_MS = 5 * 60_000;

/** A job that goes on to another pool comes back at once, but for a spread. */
const FALLBACK_DELAY_MS = 250;

/**
 * A job that failed while its pool takes no calls comes back this long after the pool may take one again, so that a job
 * that has not failed, if there is one, makes the probe.
 */
const SHUT_SPREAD_MS = 1_000;

/** So often a job of an operation that may be out is tried again as quickly as any; each further call may be paid. */
const QUICK_FAILURES = 2;

/** An operation that has not been answered for longer is taken for one that its jobs ask in vain. */
const OPERATION_MEMORY_MS = 30 * 60_000;

/** From this many throttles in a row on, with others answered meanwhile, a job is kept apart. */
const APART_THROTTLES = 3;

/** How long a job kept apart stays away: doubles with each further throttle. */
const APART: Backoff = { baseMs: 60_000, capMs: 3_600_000 };

/** A last try must have this long to be answered: with less time left before the deadline there is no other. */
const LAST_TRY_MS = 1_000;

export interface Try {
  readonly attemptsMade: number;
  readonly maxAttempts: number;
  readonly notes: Notes;
  /** What the limiter said when it heard of the failure. */
  readonly settled: Settled;
  /** How long the call took, milliseconds. */
  readonly callMs: number;
  /** Tokens the call had reserved. */
  readonly reservedTokens: number;
  /** The pool's place in the chain, and how many there are. */
  readonly index: number;
  readonly pools: number;
  readonly now: number;
  readonly deadlineAt: number;
  readonly random: Random;
}

/** Decides what follows a failure of this try. Pure. */
export function nextStep(failed: Failed, tried: Try): NextStep {
  const row = FAILURES[failed.rule];
  const { failure } = failed;
  const { attemptsMade, maxAttempts, index, pools, now, deadlineAt, random } = tried;
  const attempt = countsAgainst(failed, tried);
  const notes = noted(failed, tried, attempt);
  if (index + 1 < pools && mayAnswerElsewhere(row, tried.notes)) {
    return {
      type: "retry",
      delayMs: random() * FALLBACK_DELAY_MS,
      attempt,
      notes: { ...notes, entry: index + 1 },
    };
  }
  if (row.costs === "life") return { type: "dead", failure };
  if (attempt && (attemptsMade + 1 >= maxAttempts || attemptsOfRow(notes, failed) >= mostOfRow(row))) {
    return { type: "dead", failure };
  }
  const leftMs = deadlineAt - now;
  if (leftMs < LAST_TRY_MS + FLOOR_MS) return { type: "dead", failure: deadlineFailure(notes.last) };
  // A job dies at its deadline, not at the last try that happened to fit before it.
  const latestMs = Math.min(leftMs * (0.5 + random() * 0.4), leftMs - LAST_TRY_MS);
  const seldom = notes.failures > QUICK_FAILURES && mayBePaid(failed, tried) && mayBeOut(failed, tried);
  const delayMs = Math.min(delayOf(row, failure, notes, { ...tried, seldom }), latestMs);
  return { type: "retry", delayMs, attempt, notes };
}

/**
 * Whether the failure may be the job's own: the pool answered others while this call failed. A call that its own process
 * slept through counts against nobody.
 */
export function countsAgainst(failed: Failed, tried: CountedTry): boolean {
  return (
    failed.stood !== true && !isFree(failed) && othersAnswered(failed, tried) && !mayBeOut(failed, tried)
  );
}

/**
 * Whether the call counts as one that may have been paid. While the pool answers nobody, only probes are made; while one
 * operation of it is out, its jobs are called, seldom, and what they may have cost stays bounded.
 */
export function mayBePaid(failed: Failed, tried: CountedTry): boolean {
  return failed.charge === "estimate" && !isFree(failed) && othersAnswered(failed, tried);
}

type CountedTry = Pick<Try, "settled" | "callMs" | "notes" | "now">;

/**
 * Refused before the model worked, or for a quota, in whatever place. Any other refusal in the middle of an answer may
 * have been paid for, whatever it says.
 */
function isFree({ rule, charge }: Failed): boolean {
  const { costs, kind } = FAILURES[rule];
  return costs === "time" && (kind === "throttled" || charge !== "estimate");
}

/** A call that decided whether the pool opens again says nothing about its job. */
function othersAnswered({ rule }: Failed, tried: CountedTry): boolean {
  const { settled, callMs } = tried;
  if (settled.probe === true) return false;
  // A denial comes back at once: others were answered since the job was last denied, or it proves nothing.
  if (FAILURES[rule].about === "access") return within(settled.operationAnsweredAgoMs, sinceLastMs(tried));
  return within(settled.answeredAgoMs, callMs);
}

/**
 * Whether it may be the operation that is out, and not the job: streams may break while whole answers come. It answered
 * others not long ago, and none of them while this call failed.
 */
function mayBeOut({ rule }: Failed, { settled, callMs }: CountedTry): boolean {
  const { operationAnsweredAgoMs: agoMs } = settled;
  if (FAILURES[rule].about === "access") return false;
  return agoMs !== undefined && agoMs > callMs && agoMs < OPERATION_MEMORY_MS;
}

function sinceLastMs({ notes, now, callMs }: CountedTry): number {
  return notes.failedAt === undefined ? callMs : now - notes.failedAt;
}

function within(agoMs: number | undefined, ms: number): boolean {
  return agoMs !== undefined && agoMs <= ms;
}

function delayOf(
  row: FailureRow,
  failure: Failure,
  notes: Notes,
  { settled, pools, random, seldom }: Try & { readonly seldom: boolean },
): number {
  if (notes.apart) {
    const doubled = APART.baseMs * 2 ** Math.min(notes.throttles - APART_THROTTLES, 20);
    return Math.min(APART.capMs, doubled) * (0.5 + random() / 2);
  }
  const { shutMs = 0, retry } = settled;
  // With others in its chain it need not wait for this one: the next of them is asked when it comes back.
  if (shutMs > 0 && pools === 1) return shutMs + FLOOR_MS + random() * SHUT_SPREAD_MS;
  const { baseMs, capMs } = row.about === "identity" ? ELSEWHERE : BACKOFFS[failure.kind];
  const jitter = random() * Math.min(capMs, baseMs * 2 ** Math.min(notes.failures - 1, 20));
  const hintMs = failure.retryAfterMs;
  const delayMs =
    hintMs === undefined ? Math.max(FLOOR_MS, jitter) : Math.min(hintMs, MAX_HINT_MS) + jitter / 4;
  // The pool has too many retries under way already, or its operation is out: not given up, but as late as may be.
  return retry === "exhausted" || seldom ? Math.max(delayMs, capMs * (0.5 + random() / 2)) : delayMs;
}

/** How many attempts of a job may fail by this row. */
function mostOfRow({ attempts = Infinity }: FailureRow): number {
  return attempts;
}

function attemptsOfRow({ byRow }: Notes, { rule }: Failed): number {
  return byRow[rule] ?? 0;
}

/**
 * What the next try shall know of this one.
 * @param attempt whether it counts against the job's attempts.
 */
function noted(failed: Failed, tried: Try, attempt: boolean): Notes {
  const { rule, failure } = failed;
  const { notes, index, pools, now, settled } = tried;
  const { kind, dimension, attempts } = FAILURES[rule];
  const isCounted = attempt && attempts !== undefined;
  const quota = kind === "throttled" && dimension !== "capacity";
  const throttles = quota ? notes.throttles + 1 : 0;
  // Others pass where this one does not: it would come back ahead of them for ever.
  const apart = throttles >= APART_THROTTLES && within(settled.answeredAgoMs, sinceLastMs(tried));
  return {
    failures: notes.failures + 1,
    byRow: isCounted ? { ...notes.byRow, [rule]: attemptsOfRow(notes, failed) + 1 } : notes.byRow,
    throttles,
    apart,
    stallsOutlived: notes.stallsOutlived,
    failedAt: now,
    // After the last pool of the chain the first one may work again.
    entry: index > 0 && index === pools - 1 ? 0 : index,
    last: (apart ? tooLarge(tried) : undefined) ?? {
      kind: failure.kind,
      errorClass: failure.errorClass,
      message: failure.message,
    },
  };
}

/** What keeps a job from its answer that is larger than anything that passes. */
function tooLarge({ settled: { largestPassed }, reservedTokens }: Try): LastFailure | undefined {
  if (largestPassed === undefined || reservedTokens <= largestPassed) return undefined;
  return {
    kind: "throttled",
    errorClass: OWN_FAILURES.tooLarge.errorClass,
    message:
      `It reserves ${Math.ceil(reservedTokens)} tokens and is throttled each time; ` +
      `calls of up to ${Math.floor(largestPassed)} tokens are answered`,
  };
}

/** Whether another model may well answer what this one could not. */
function mayAnswerElsewhere({ elsewhere }: FailureRow, { failures }: Notes): boolean {
  return elsewhere === "at once" || (elsewhere === "again" && failures > 0);
}
