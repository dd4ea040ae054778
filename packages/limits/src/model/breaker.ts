/**
 * How the breaker moves; one for the fleet. Twin of `lua/breaker.lua`. Who may pass it is in `door.ts`; what opens it, or
 * makes a pool suspected, in `evidence.ts`.
 *
 *   closed ── failures ──▶ open ── a probe is due ──▶ half-open ── probes answered ──▶ closed
 *                           ▲──── the last probe failed ────┘
 *   closed ── access denied ──▶ suspected ── canary confirms ──▶ isolated ── canary let in ──▶ closed
 */
import type { SettleOutcome } from "../limiter.ts";
import type { BreakerLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { DENIED_MOST, intervalMs, LET_IN_MS, liveProbes } from "./probes.ts";
import type { BreakerState, Canary, Closed, Outage, PoolState } from "./state.ts";

/** A call that was no probe of this outage has failed in it. */
export function noteFailed(limits: BreakerLimits, state: PoolState, job: string): void {
  const { breaker } = state;
  if (breaker.phase !== "open" && breaker.phase !== "half-open") return;
  state.breaker = { ...breaker, outage: withJob(limits, breaker.outage, job) };
}

function withJob({ outageJobs }: BreakerLimits, outage: Outage, job: string): Outage {
  return { ...outage, jobs: [...outage.jobs.filter((one) => one !== job), job].slice(-outageJobs) };
}

/** Moves a half-open breaker by what a probe found out. */
export function hearProbe(
  limits: BreakerLimits,
  state: PoolState,
  { id, outcome, probe, startAt }: { id: string; outcome: SettleOutcome; probe: boolean; startAt: number },
): void {
  const { breaker, at: now } = state;
  if (breaker.phase !== "half-open") return;
  const live = liveProbes(breaker, now);
  // An answer is one, however long it took: the place of the probe may have gone to another meanwhile.
  const answered = outcome === "ok" && probe && startAt >= breaker.outage.since;
  if (!answered && !live.some((one) => one.id === id)) return;
  const probes = live.filter((one) => one.id !== id);
  switch (outcome) {
    case "ok":
      if (breaker.successes + 1 >= limits.successes) return close(state);
      state.breaker = { ...breaker, probes, successes: breaker.successes + 1, until: now };
      return;
    case "failed":
    case "timeout":
      state.breaker = { ...breaker, probes, successes: 0 };
      if (probes.length === 0) open(limits, state, Math.max(0, breaker.until - now));
      return;
    case "systemic":
      return doubt(state);
    case "throttled":
    case "neutral":
      // It told nothing: the next may go at once.
      state.breaker = { ...breaker, probes, until: now };
  }
}

/** Moves a suspected or isolated pool by what its canary found out. */
export function hearCanary(
  limits: BreakerLimits,
  state: PoolState,
  { id, outcome, process }: { id: string; outcome: SettleOutcome; process: string },
): void {
  const { breaker, at: now } = state;
  if (breaker.phase !== "suspected" && breaker.phase !== "isolated") return;
  if (breaker.canary?.id !== id || now >= breaker.canary.until) return;
  if (outcome === "neutral") state.breaker = { ...breaker, canary: undefined };
  else if (outcome === "systemic") isolate(state, now + limits.canaryMs, process);
  // An answer, even a throttle, needs access. A failure proves nothing either way: a suspicion is dropped, an isolation
  // is kept.
  else if (breaker.phase === "suspected" || outcome === "ok" || outcome === "throttled") close(state);
  else state.breaker = { ...breaker, canary: undefined, until: now + limits.canaryMs };
}

/**
 * A canary that is out so long was let in: the pool takes calls again, though nothing is known yet of what it answers.
 * @returns that canary; undefined: there is none.
 */
export function letIn(state: PoolState): Canary | undefined {
  const { breaker, at: now } = state;
  if (breaker.phase !== "suspected" && breaker.phase !== "isolated") return undefined;
  const { canary } = breaker;
  if (canary?.startAt === undefined || now >= canary.until || now < canary.startAt + LET_IN_MS)
    return undefined;
  close(state);
  return canary;
}

/** Opens until the next probe is due; `forMs`: in how long that is. `byHand`: an operator opens it. */
export function open(limits: BreakerLimits, state: PoolState, forMs?: number, byHand = false): void {
  const { breaker, at: now } = state;
  const { epoch, closedAt, heldUntil, suspects, outage: known } = breaker;
  const lasting =
    breaker.phase === "open" || breaker.phase === "half-open" || now - closedAt < limits.forgetMs;
  // By hand before anything failed: no outage is known, so the first probe's interval is the shortest.
  const first: Outage = { since: now + (forMs ?? 0), openings: 0, jobs: [] };
  const since = lasting && known !== undefined ? known : first;
  const failed = breaker.phase === "closed" ? (breaker.run?.jobs ?? []) : [];
  const outage = failed.reduce((all, { job }) => withJob(limits, all, job), {
    ...since,
    openings: since.openings + 1,
  });
  const until = now + (forMs ?? intervalMs(limits, outage, now));
  const common = { epoch: epoch + 1, closedAt, heldUntil, suspects, outage };
  state.breaker = { ...common, phase: "open", byHand, until };
}

export function close(state: PoolState): void {
  const { breaker, at: now } = state;
  const { epoch, heldUntil, outage } = breaker;
  const closed: Closed = {
    phase: "closed",
    epoch: epoch + 1,
    closedAt: now,
    heldUntil,
    outage,
    suspects: [],
    answeredAt: now,
    answeringSince: now,
    run: undefined,
    failedLast: undefined,
    askers: [],
    processes: [],
  };
  state.breaker = closed;
}

/**
 * @param until when the next canary is due; 0: an operator must close.
 * @param process the one that was denied now; '' if it has no name.
 */
export function isolate(state: PoolState, until: number, process = ""): void {
  const { breaker } = state;
  const { epoch, closedAt, heldUntil, outage, suspects } = breaker;
  const known = breaker.phase === "suspected" || breaker.phase === "isolated" ? breaker.deniedTo : [];
  const deniedTo = withDenied(known, process);
  const common = { epoch, closedAt, heldUntil, outage, suspects, deniedTo, another: false };
  state.breaker = { ...common, phase: "isolated", until, canary: undefined };
}

/** Several calls were denied; one more, alone, shall confirm it. */
export function doubt(state: PoolState): void {
  const { breaker } = state;
  const { epoch, closedAt, heldUntil, outage, suspects } = breaker;
  const deniedTo = suspects.reduce<readonly string[]>((all, { process }) => withDenied(all, process), []);
  const another = breaker.phase === "closed" && breaker.processes.some((one) => !deniedTo.includes(one));
  const common = { epoch, closedAt, heldUntil, outage, suspects, deniedTo, another };
  state.breaker = { ...common, phase: "suspected", until: state.at, canary: undefined };
}

function withDenied(deniedTo: readonly string[], process: string): readonly string[] {
  const enough = process === "" || deniedTo.length >= DENIED_MOST;
  return enough || deniedTo.includes(process) ? deniedTo : [...deniedTo, process];
}

/** The server wants no calls for a while. A longer hold is not shortened. */
export function hold(limits: BreakerLimits, state: PoolState, holdMs: number): void {
  const heldUntil = Math.max(state.breaker.heldUntil, state.at + Math.min(holdMs, limits.holdMostMs));
  state.breaker = { ...state.breaker, heldUntil };
}

/** An operator ends the hold. */
export function release(state: PoolState): void {
  state.breaker = { ...state.breaker, heldUntil: 0 };
}

/** An operator has shut the pool: nothing that its calls met did. */
export function isShutByHand(breaker: BreakerState): boolean {
  return breaker.phase === "open" ? breaker.byHand : breaker.phase === "isolated" && breaker.until === 0;
}

/**
 * For how long the pool takes no calls but probes, in ms; 0: it takes them.
 * @param parkedUntilMs the end of its parking for the day.
 */
export function shutMs(
  { breaker: limits }: Pick<Parameters, "breaker">,
  breaker: BreakerState,
  parkedUntilMs: number,
  now: number,
): number {
  const elsewhereMs = Math.max(0, parkedUntilMs - now, breaker.heldUntil - now);
  if (breaker.phase === "closed") return elsewhereMs;
  const forGood = breaker.phase === "isolated" && breaker.until === 0;
  return Math.max(
    elsewhereMs,
    forGood ? limits.canaryMs : Math.max(limits.probingLeastMs, breaker.until - now),
  );
}
