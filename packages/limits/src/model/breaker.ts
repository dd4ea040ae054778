/**
 * Whether the pool takes calls at all: one breaker and one probe for the fleet. Twin of `lua/breaker.lua`.
 *
 *   closed ── too many failures ──▶ open ── time is up ──▶ half-open ── successes ──▶ closed
 *                                    ▲───── probe failed ─────┘
 *   closed ── systemic failures ──▶ suspected ── canary confirms ──▶ isolated ── canary answers ──▶ closed
 */
import type { BreakerPhase, Closure, SettleOutcome } from "../limiter.ts";
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { BreakerState, DayState } from "./state.ts";

/** Calls and failures by second; the slots are reused. */
export type Outcomes = Map<number, { second: number; calls: number; failures: number }>;

export type Door =
  | { readonly type: "pass" }
  /** The call may be the probe, if the limiter grants it. */
  | { readonly type: "probe" }
  | { readonly type: "shut"; readonly afterMs: number; readonly cause: Closure };

/** What a call found out. */
export interface Finding {
  readonly id: string;
  readonly job: string;
  readonly epoch: number;
  readonly outcome: SettleOutcome;
  readonly weight: number;
  readonly operation: string;
}

/**
 * May a call of this lane pass, be the probe, or neither?
 * @param rank the lane's place, 0 = most urgent; `last` that of the least urgent.
 */
export function knock(
  { breaker: limits }: Parameters,
  breaker: BreakerState,
  { rank, last, now }: { rank: number; last: number; now: number },
): Door {
  if (breaker.phase === "closed") return { type: "pass" };
  const isolated = breaker.phase === "isolated";
  if (isolated && breaker.until === 0) return { type: "shut", afterMs: limits.canaryMs, cause: "isolated" };
  // A failed service is tried with the most urgent work, a dead credential with the least.
  const turn = breaker.phase === "open" || breaker.phase === "half-open" ? rank : last - rank;
  const due = breaker.until + turn * limits.staggerMs;
  if (now < due) return { type: "shut", afterMs: due - now, cause: isolated ? "isolated" : "breaker" };
  if (breaker.phase === "open") {
    breaker.phase = "half-open";
    breaker.successes = 0;
  }
  if (breaker.probeId !== "" && now < breaker.probeUntil) {
    const most = Math.min(limits.probingMostMs, breaker.probeUntil - now);
    return { type: "shut", afterMs: Math.max(limits.probingLeastMs, most), cause: "probing" };
  }
  return { type: "probe" };
}

/** Hands out the one probe. A dead worker's lease ends by itself. */
export function leaseProbe(
  limits: BreakerLimits,
  breaker: BreakerState,
  id: string,
  startAt: number,
  ttlMs: number,
): void {
  breaker.probeId = id;
  breaker.probeUntil = startAt + (ttlMs > limits.leaseTrimMs ? ttlMs - limits.leaseTrimMs : ttlMs);
}

/** Moves the breaker by what a settled call found out. */
export function hear(
  parameters: Parameters,
  breaker: BreakerState,
  outcomes: Outcomes,
  finding: Finding,
  now: number,
): void {
  if (breaker.phase === "open") return;
  if (breaker.phase === "closed") return hearWhileClosed(parameters, breaker, outcomes, finding, now);
  const limits = parameters.breaker;
  if (breaker.probeId !== finding.id || now >= breaker.probeUntil) return;
  breaker.probeId = "";
  if (breaker.phase === "half-open") return hearProbe(limits, breaker, finding.outcome, now);
  return hearCanary(limits, breaker, finding.outcome, now);
}

function hearWhileClosed(
  parameters: Parameters,
  breaker: BreakerState,
  outcomes: Outcomes,
  finding: Finding,
  now: number,
): void {
  const limits = parameters.breaker;
  // Calls admitted before the last opening say nothing about the pool as it is now.
  if (finding.epoch !== breaker.epoch) return;
  const { outcome } = finding;
  if (outcome === "ok" || outcome === "throttled") breaker.suspects = [];
  if (outcome === "ok") {
    breaker.timeouts = 0;
    count(parameters, outcomes, 0, now);
  } else if (outcome === "systemic") {
    suspect(limits, breaker, finding, now);
  } else if (outcome === "failed" || outcome === "timeout") {
    if (outcome === "timeout") breaker.timeouts += 1;
    count(parameters, outcomes, finding.weight, now);
    if (breaker.timeouts >= limits.timeouts || failing(parameters, outcomes, now)) open(limits, breaker, now);
  }
}

function hearProbe(limits: BreakerLimits, breaker: BreakerState, outcome: SettleOutcome, now: number): void {
  if (outcome === "failed" || outcome === "timeout") return open(limits, breaker, now);
  if (outcome === "systemic") return doubt(breaker, now);
  if (outcome !== "ok") return;
  breaker.successes += 1;
  if (breaker.successes >= limits.successes) close(breaker, now);
}

function hearCanary(limits: BreakerLimits, breaker: BreakerState, outcome: SettleOutcome, now: number): void {
  if (outcome === "neutral") return;
  if (outcome === "systemic") return isolate(breaker, now + limits.canaryMs);
  const suspected = breaker.phase === "suspected";
  // An answer, even a throttle, needs working credentials. A failure proves nothing either way: a suspicion is
  // dropped, an isolation is kept.
  if (suspected || outcome === "ok" || outcome === "throttled") close(breaker, now);
  else breaker.until = now + limits.canaryMs;
}

function count(parameters: Parameters, outcomes: Outcomes, failures: number, now: number): void {
  const second = Math.floor(now / 1_000);
  const slot = second % parameters.windowSeconds;
  const bucket = outcomes.get(slot);
  const live = bucket?.second === second ? bucket : { second, calls: 0, failures: 0 };
  outcomes.set(slot, { second, calls: live.calls + 1, failures: live.failures + failures });
}

function failing(parameters: Parameters, outcomes: Outcomes, now: number): boolean {
  const oldest = Math.floor(now / 1_000) - parameters.windowSeconds;
  let calls = 0;
  let failures = 0;
  for (const bucket of outcomes.values()) {
    if (bucket.second <= oldest) continue;
    calls += bucket.calls;
    failures += bucket.failures;
  }
  const { minimumCalls, failureRatio } = parameters.breaker;
  return calls >= minimumCalls && failures >= failureRatio * calls;
}

function suspect(
  limits: BreakerLimits,
  breaker: BreakerState,
  { job, operation }: Finding,
  now: number,
): void {
  breaker.suspects.push({ job, shape: operation });
  if (breaker.suspects.length > limits.suspectsKept) breaker.suspects.shift();
  const jobs = new Set(breaker.suspects.map((one) => one.job));
  const shapes = new Set(breaker.suspects.map((one) => one.shape));
  if (
    breaker.suspects.length >= limits.suspects &&
    jobs.size >= limits.suspectJobs &&
    shapes.size >= limits.suspectShapes
  ) {
    doubt(breaker, now);
  }
}

/** Several requests say that the credentials are bad; one more, alone, shall confirm it. */
function doubt(breaker: BreakerState, now: number): void {
  breaker.phase = "suspected";
  breaker.until = now;
}

/** Opens, each time in a row for twice as long; `forMs` overrides by hand. */
export function open(limits: BreakerLimits, breaker: BreakerState, now: number, forMs?: number): void {
  const healthy = breaker.phase === "closed" && now - breaker.closedAt >= limits.forgetMs;
  breaker.openings = healthy ? 1 : breaker.openings + 1;
  const doubled = limits.openMs * 2 ** (breaker.openings - 1);
  breaker.phase = "open";
  breaker.epoch += 1;
  breaker.until = now + (forMs ?? Math.min(limits.openMostMs, doubled));
  breaker.probeId = "";
}

export function close(breaker: BreakerState, now: number): void {
  breaker.phase = "closed";
  breaker.epoch += 1;
  breaker.closedAt = now;
  breaker.probeId = "";
  breaker.timeouts = 0;
  breaker.suspects = [];
}

/** @param until when the next canary is due; 0: an operator must close. */
export function isolate(breaker: BreakerState, until: number): void {
  breaker.phase = "isolated";
  breaker.until = until;
  breaker.probeId = "";
}

/** For how long the pool takes no calls, in ms; 0: it does. */
export function shutMs(
  { breaker: limits }: Parameters,
  { phase, until }: BreakerState,
  day: DayState,
  now: number,
): number {
  const parked = Math.max(0, day.parkedUntil - now);
  if (phase === "closed") return parked;
  const byHand = phase === "isolated" && until === 0;
  return Math.max(parked, byHand ? limits.canaryMs : Math.max(limits.probingLeastMs, until - now));
}

/** After these phases the service comes back from an outage, and gets its load step by step. */
export function wasOutage(from: BreakerPhase): boolean {
  return from === "open" || from === "half-open";
}
