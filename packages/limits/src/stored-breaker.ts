/**
 * The breaker as it stands in Redis: one flat record, whose names and meanings are those of version 0.1. A program of
 * that version beside this one, during a deploy, finds every field it knows (`phase`, `until`, `probeId`, `suspects`, …)
 * and leaves the others alone; this one finds fields that are missing, and what `lua/state.lua` makes of them.
 */
import type { BreakerPhase } from "./limiter.ts";
import type { BreakerState, Canary, Outage, Probe, Run } from "./model/state.ts";

/** Lists that are empty are left out: Lua would write them as objects. */
export interface StoredBreaker {
  readonly phase: BreakerPhase;
  readonly epoch: number;
  readonly until: number;
  readonly openings: number;
  readonly closedAt: number;
  /** The probe sent last, or the canary. */
  readonly probeId: string;
  readonly probeUntil: number;
  readonly successes: number;
  /** When the canary started, by its id: a program of before sends one without writing that down. */
  readonly canaryStart?: { readonly id: string; readonly at: number };
  readonly suspects?: readonly {
    readonly job: string;
    readonly shape: string;
    readonly at?: number;
    readonly process?: string;
    readonly since?: number;
  }[];
  /** The epoch in which an operator opened it. */
  readonly byHand?: number;
  readonly deniedTo?: readonly string[];
  readonly another?: boolean;
  readonly processes?: readonly string[];
  readonly probes?: readonly Probe[];
  readonly outageSince?: number;
  readonly outageJobs?: readonly string[];
  readonly run?: Run & { readonly epoch: number };
  readonly failedLast?: string;
  readonly askers?: readonly string[];
  readonly heldUntil?: number;
  readonly answeredAt?: number;
  readonly answeringSince?: number;
}

/** The state as the twin has it. */
export function breakerFrom(stored: StoredBreaker): BreakerState {
  const { phase, epoch, until, closedAt } = stored;
  const outage = outageOf(stored);
  const suspects = stored.suspects ?? [];
  const common = {
    epoch,
    closedAt,
    heldUntil: stored.heldUntil ?? 0,
    suspects: suspects.map(({ job, shape, at = 0, since = at, process = "" }) => {
      return { job, operation: shape, process, at, since };
    }),
  };
  switch (phase) {
    case "closed": {
      const { answeredAt = 0, answeringSince = 0, askers = [], processes = [], failedLast } = stored;
      const run = runOf(stored.run, epoch);
      return { ...common, phase, outage, answeredAt, answeringSince, run, failedLast, askers, processes };
    }
    case "open":
      return {
        ...common,
        phase,
        until,
        outage: outage ?? newOutage(stored),
        byHand: stored.byHand === epoch,
      };
    case "half-open": {
      const { probes = [], successes } = stored;
      return { ...common, phase, until, outage: outage ?? newOutage(stored), probes, successes };
    }
    case "suspected":
    case "isolated": {
      const { deniedTo = [], another = false } = stored;
      return { ...common, phase, until, outage, canary: canaryOf(stored), deniedTo, another };
    }
  }
}

function canaryOf({ probeId: id, probeUntil: until, canaryStart }: StoredBreaker): Canary | undefined {
  if (id === "") return undefined;
  return { id, until, startAt: canaryStart?.id === id ? canaryStart.at : undefined };
}

function outageOf({
  outageSince: since,
  openings,
  outageJobs: jobs = [],
}: StoredBreaker): Outage | undefined {
  return since === undefined ? undefined : { since, openings, jobs };
}

/** An outage that a program of before has opened. */
function newOutage({ until, openings }: StoredBreaker): Outage {
  return { since: until, openings, jobs: [] };
}

/** Failures in a row of an epoch that is over are none. */
function runOf(run: StoredBreaker["run"], epoch: number): Run | undefined {
  if (run?.epoch !== epoch) return undefined;
  const { since, failures, jobs, alone } = run;
  return { since, failures, jobs, alone };
}
