/** The limits of a pool: what the pools file may say, and the defaults. */
import type { RateDimension } from "./cost.ts";

/** A priority class. Lanes are listed from most to least urgent. */
export interface LaneLimits {
  readonly name: string;
  /**
   * How far ahead of its start a call may be granted, in ms of quota. Short keeps the order of lanes and the
   * reaction to throttles quick; long lets a lane take the quota before those below it.
   */
  readonly horizonMs: number;
  /** Private reserve in ms of quota: what this lane may have drawn beyond the level at any time. */
  readonly reserveMs: number;
  /** Fraction of the quota the lane gets whatever the others ask for. 0: none. */
  readonly share: number;
}

/** Quotas as Bedrock states them. Each is optional; a missing one is not limited. */
export interface Quota {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly inputTokensPerMinute?: number;
  readonly outputTokensPerMinute?: number;
  /** Of the scope: one figure across all its pools. Counted by UTC day. */
  readonly tokensPerDay?: number;
}

/** How the adaptive ceiling moves. */
export interface CeilingLimits {
  /** What a throttle leaves of the ceiling. */
  readonly keep: number;
  /** Steepness of the cubic curve, per s^3. */
  readonly growth: number;
  /** At most one cut in this time, per dimension. */
  readonly cutGapMs: number;
  /** A cut so soon after another one is one in a row: the first was not enough. */
  readonly relapseMs: number;
  /** What is left of the remembered peak with each cut in a row. */
  readonly peakKeep: number;
  /** How long nothing is committed from the second cut in a row on; doubles up to `pauseMostMs`. */
  readonly pauseMs: number;
  readonly pauseMostMs: number;
  /** The ceiling never falls below this fraction of the rate. */
  readonly least: number;
  /** Where it starts after an outage, and with nothing known. */
  readonly restart: number;
  /** No lane commits further ahead while a ceiling is below 1: throttles must be felt at once. */
  readonly horizonMs: number;
  /** A throttle that names no dimension is blamed on the emptiest, unless even that is fuller than this. */
  readonly unsureAbove: number;
  /** Weight of the newest start in the share of calls refused lately. */
  readonly lateWeight: number;
  /** A trial begins with a refusal that comes alone: with less than this share refused lately. */
  readonly aloneShare: number;
  /** With this share refused lately a trial, passed or not, is over. With all calls refused it comes to 0.53. */
  readonly clusterShare: number;
  /** No more than this share of calls is ever tolerated. */
  readonly tolerableShare: number;
  /** A trial is over with so many throttles beyond `moreThanBefore` times the share of before. */
  readonly spareThrottles: number;
  readonly moreThanBefore: number;
  /** How long calls are counted before a trial; so much longer each time that one fails, up to `trialWaitMostMs`. */
  readonly trialWaitMs: number;
  readonly trialWaitGrowth: number;
  readonly trialWaitMostMs: number;
  /** A trial is passed after this time and so many calls: longer than any window of the server. */
  readonly trialMs: number;
  readonly trialCalls: number;
  /** Counts are halved at so many calls. */
  readonly countMost: number;
  /** Without a throttle for this long counting, and tolerating, starts anew. */
  readonly quietMs: number;
  /** Without a throttle for this long failed trials are forgotten. */
  readonly forgetMs: number;
  /** The largest call that passed is forgotten by half in this time. */
  readonly passedHalfMs: number;
  /** A throttled call this many times as large as that is too large, and says nothing about the rate. */
  readonly largerThanPassed: number;
  /** Calls pass if one did in this time. */
  readonly passedLateMs: number;
  /** The quota is doubtful at a ceiling this low, and no longer at `trustAbove`. */
  readonly doubtBelow: number;
  readonly trustAbove: number;
}

/** When a pool stops taking calls, and how it finds out that it may again. */
export interface BreakerLimits {
  /** Among the calls started in some spell, failures outweigh `failureRatio` by this many calls: an outage. */
  readonly minimumCalls: number;
  readonly failureRatio: number;
  /** Or this many failures in a row. No job counts for more than half of them, unless it is the only one. */
  readonly failures: number;
  /** They must be this many times the calls that started before and are still out. */
  readonly outWeight: number;
  /** The first probe is due after this; later ones after `openPart` of the outage's age, up to `openMostMs`. */
  readonly openMs: number;
  readonly openPart: number;
  readonly openMostMs: number;
  /** Closed for this long, and the next opening is a new outage. */
  readonly forgetMs: number;
  /** Probes that must be answered in a row. */
  readonly successes: number;
  /** Probes under way at most. One is sent per interval, though the ones before have told nothing yet. */
  readonly probesMost: number;
  /** Jobs that failed in an outage and are remembered: others probe first. */
  readonly outageJobs: number;
  /** The server's `Retry-After` is heeded up to this. */
  readonly holdMostMs: number;
  /** Reservations live this much longer than a probe's lease: `ttlMs` has 60 s beyond the call, a lease needs 5. */
  readonly leaseTrimMs: number;
  /** Each lane may ask for the probe this much later than the one before it. */
  readonly staggerMs: number;
  /** What others are told while a probe runs: at most this. */
  readonly probingMostMs: number;
  readonly probingLeastMs: number;
  /** Systemic failures of one operation in a row, from so many jobs if there are so many, make a pool suspected. */
  readonly suspects: number;
  readonly suspectJobs: number;
  /** Systemic failures that are remembered. */
  readonly suspectsKept: number;
  /** An isolated pool tries one real call this often. */
  readonly canaryMs: number;
}

/** How far retries may multiply a pool's traffic. */
export interface RetryLimits {
  /** Retries in hand at most, and at the start. */
  readonly most: number;
  /** What a success adds. */
  readonly perSuccess: number;
}

/** The scope's daily quota. */
export interface DayLimits {
  /** A throttle for tokens per day parks its pool, a second pool's the scope; each further one for twice as long. */
  readonly parkMs: number;
  readonly parkMostMs: number;
  /** With the day's tokens used up: ask again after at most this. */
  readonly recheckMs: number;
}

/** How often a worker declares its limits again, milliseconds: a declaration counts for a minute (`declarations.lua`). */
export const REDECLARE_MS = 20_000;

export interface PoolLimits {
  readonly quota: Quota;
  /** From most to least urgent. `defaultLanes` suits most pools. */
  readonly lanes: readonly LaneLimits[];
  /** Fraction of the quota that is used at most. Default 0.985: a server that starts empty never catches up. */
  readonly pace?: number;
  /** Quota that an idle pool may save up, in ms. Default 1000: over any minute burst and pace stay within 100 %. */
  readonly burstMs?: number;
  /** Fraction of the account's quota that is ours where the account is shared on purpose. Default 1. */
  readonly share?: number;
  readonly ceiling?: Partial<CeilingLimits>;
  readonly breaker?: Partial<BreakerLimits>;
  readonly retry?: Partial<RetryLimits>;
  readonly day?: Partial<DayLimits>;
}

/** Measured defaults; shares are honoured first, so critical waits stay short up to about 75 % of the quota. */
export const defaultLanes: readonly LaneLimits[] = [
  { name: "critical", horizonMs: 2_000, reserveMs: 3_000, share: 0 },
  { name: "standard", horizonMs: 500, reserveMs: 0, share: 0.1 },
  { name: "bulk", horizonMs: 100, reserveMs: 0, share: 0.05 },
];

/**
 * Measured limits for lanes of any number and name, from most to least urgent: the first is like `critical`, the
 * last like `bulk`, and those between share what `standard` would get.
 */
export function lanesNamed(names: readonly string[]): readonly LaneLimits[] {
  const between = Math.max(1, names.length - 2);
  return names.map((name, place) => {
    const known = place === 0 ? "critical" : place === names.length - 1 ? "bulk" : "standard";
    const like = defaultLanes.find((lane) => lane.name === known);
    if (!like) throw new Error(`There are no default limits for a lane like '${known}'`);
    return { ...like, name, share: known === "standard" ? like.share / between : like.share };
  });
}

export interface LimitsDefaults {
  readonly pace: number;
  readonly burstMs: number;
  readonly share: number;
  readonly ceiling: CeilingLimits;
  readonly breaker: BreakerLimits;
  readonly retry: RetryLimits;
  readonly day: DayLimits;
}

/** Every default in one place; `docs/limits.md` tells where the figures come from. */
export const defaults: LimitsDefaults = {
  pace: 0.985,
  burstMs: 1_000,
  share: 1,
  ceiling: {
    keep: 0.85,
    growth: 8e-6,
    cutGapMs: 1_000,
    relapseMs: 12_000,
    peakKeep: 0.95,
    pauseMs: 2_000,
    pauseMostMs: 8_000,
    least: 0.05,
    restart: 0.5,
    horizonMs: 250,
    unsureAbove: 0.5,
    lateWeight: 0.125,
    aloneShare: 0.3,
    clusterShare: 0.48,
    tolerableShare: 0.15,
    spareThrottles: 2,
    moreThanBefore: 2,
    trialWaitMs: 20_000,
    trialWaitGrowth: 4,
    trialWaitMostMs: 1_800_000,
    trialMs: 180_000,
    trialCalls: 60,
    countMost: 1_000,
    quietMs: 300_000,
    forgetMs: 3_600_000,
    passedHalfMs: 300_000,
    largerThanPassed: 1.25,
    passedLateMs: 60_000,
    doubtBelow: 0.3,
    trustAbove: 0.5,
  },
  breaker: {
    minimumCalls: 20,
    failureRatio: 0.5,
    failures: 5,
    outWeight: 4,
    openMs: 5_000,
    openPart: 0.1,
    openMostMs: 60_000,
    forgetMs: 60_000,
    successes: 2,
    probesMost: 16,
    outageJobs: 20,
    holdMostMs: 300_000,
    leaseTrimMs: 55_000,
    staggerMs: 200,
    probingMostMs: 1_000,
    probingLeastMs: 50,
    suspects: 5,
    suspectJobs: 3,
    suspectsKept: 20,
    canaryMs: 60_000,
  },
  retry: { most: 100, perSuccess: 0.1 },
  day: { parkMs: 900_000, parkMostMs: 3_600_000, recheckMs: 60_000 },
};

/** What each rate is called in `Quota`. */
export const quotaNames: Record<RateDimension, Exclude<keyof Quota, "tokensPerDay">> = {
  requests: "requestsPerMinute",
  tokens: "tokensPerMinute",
  "input-tokens": "inputTokensPerMinute",
  "output-tokens": "outputTokensPerMinute",
};
