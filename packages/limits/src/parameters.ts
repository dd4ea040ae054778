/** Limits, checked and complete: the form the scripts read. */
import { rateDimensions, type RateDimension } from "./cost.ts";
import {
  defaults,
  quotaNames,
  type BreakerLimits,
  type CeilingLimits,
  type DayLimits,
  type LaneLimits,
  type PoolLimits,
  type RetryLimits,
} from "./limits.ts";

/** A rate as the scripts use it. */
export interface Rate {
  /** Units per ms: quota x pace x share. */
  readonly perMs: number;
  /** Highest level: what an idle pool saves up. */
  readonly capacity: number;
}

/** Not settable: figures that depend on one another, and lengths of lists. */
const fixed = {
  /** A lane with share saved up may commit this far ahead. Must exceed every horizon + reserve, or shares starve. */
  guaranteeHorizonMs: 6_000,
  /** Share a lane may save up, in ms of quota. */
  guaranteeCreditMs: 5_000,
  /** Longest distance between the tickets of a lane that waits for its share. */
  guaranteeSpacingMs: 1_750,
  /** The first in line keeps its place so long past its time of return; then its process is taken for dead. */
  firstGraceMs: 1_000,
  /** Weight of the newest call in a lane's moving average of used / reserved. */
  usageWeight: 0.05,
  /** One call cannot push that average above this. */
  usageCap: 1.5,
  /** A clock that steps back further than this (failover) is believed; a smaller step is waited out. */
  clockStepMs: 2_000,
  /** The breaker counts calls by their start in slots of this length, and keeps so many of them. */
  slotMs: 2_000,
  slotsKept: 150,
  /** A spell of starts is judged over at most so many slots. */
  spellSlots: 16,
  /** A pool that answered nothing for so long was silent: failures of calls from before its next answer are old. */
  silenceMs: 10_000,
  /** Operations whose last answer is remembered, and the shortest time between two answers that are. */
  operationsKept: 16,
  noteEveryMs: 10,
  /** Expired reservations dropped per admit. Bounded, so that admit stays cheap. */
  sweepLimit: 5,
};

/** Everything the scripts need to know of a pool. */
export interface Parameters extends Readonly<typeof fixed> {
  readonly rates: Readonly<Partial<Record<RateDimension, Rate>>>;
  readonly lanes: readonly LaneLimits[];
  readonly burstMs: number;
  readonly ceiling: CeilingLimits;
  readonly breaker: BreakerLimits;
  readonly retry: RetryLimits;
  /** `quota`: tokens a day may use; absent when the scope has no daily quota. */
  readonly day: DayLimits & { readonly quota?: number };
}

const MINUTE_MS = 60_000;

/** A setting that is out of its range: "Expected `x` to be ..., got ...". */
export class LimitsError extends RangeError {
  override readonly name = "LimitsError";
  /** The setting, its keys joined by dots; a lane by its name. */
  readonly setting: string;
  /** What it was expected to be. */
  readonly rule: string;

  constructor(setting: string, rule: string, value: unknown) {
    super(`Expected \`${setting}\` to be ${rule}, got ${JSON.stringify(value)}`);
    this.setting = setting;
    this.rule = rule;
  }
}

/**
 * Parameters as they are stored. `form` tells the scripts that these are what they expect; they ask for new ones
 * otherwise (`PARAMETERS_FORM` in `lua/state.lua`), but for a newer form. A form that scripts of an earlier one can work
 * with too says so by `since`, the earliest such form. The rest is what the scripts of version 0.1 need beside: its programs
 * run on during a deploy and read the same record.
 */
export function storedParameters(parameters: Parameters): object {
  const breaker = { ...parameters.breaker, timeouts: 8, suspectShapes: 2 };
  return { ...parameters, form: 2, windowSeconds: 10, breaker };
}

/**
 * Checks limits and fills in the defaults.
 * @throws LimitsError for the first setting that is out of its range.
 */
export function resolveLimits(limits: PoolLimits): Parameters {
  const { quota, lanes, pace, burstMs, share } = { ...defaults, ...limits };
  expect("pace", pace, pace > 0 && pace <= 1, "a fraction above 0 and at most 1");
  expect("share", share, share > 0 && share <= 1, "a fraction above 0 and at most 1");
  expect("burstMs", burstMs, burstMs > 0 && burstMs <= MINUTE_MS, "above 0 and at most 60000 ms");
  const rates: Partial<Record<RateDimension, Rate>> = {};
  for (const dimension of rateDimensions) {
    const perMinute = quota[quotaNames[dimension]];
    if (perMinute === undefined) continue;
    positive(`quota.${quotaNames[dimension]}`, perMinute);
    const perMs = (perMinute / MINUTE_MS) * pace * share;
    // Less than one request could never be admitted without a wait.
    const least = dimension === "requests" ? 1 : 0;
    rates[dimension] = { perMs, capacity: Math.max(least, perMs * burstMs) };
  }
  if (quota.tokensPerDay !== undefined) positive("quota.tokensPerDay", quota.tokensPerDay);
  checkLanes(lanes);
  const ceiling = { ...defaults.ceiling, ...limits.ceiling };
  const breaker = { ...defaults.breaker, ...limits.breaker };
  const retry = { ...defaults.retry, ...limits.retry };
  const day = { ...defaults.day, ...limits.day };
  for (const [group, settings] of Object.entries({ ceiling, breaker, retry, day })) {
    for (const [name, value] of Object.entries(settings)) positive(`${group}.${name}`, value);
  }
  for (const name of ["keep", "peakKeep", "least", "restart"] as const) {
    expect(`ceiling.${name}`, ceiling[name], ceiling[name] < 1, "a fraction below 1");
  }
  const daily = quota.tokensPerDay === undefined ? {} : { quota: quota.tokensPerDay * pace * share };
  return { ...fixed, rates, lanes, burstMs, ceiling, breaker, retry, day: { ...day, ...daily } };
}

function checkLanes(lanes: readonly LaneLimits[]): void {
  const names = lanes.map((lane) => lane.name);
  expect("lanes", names, names.length > 0, "at least one lane");
  expect("lanes", names, new Set(names).size === names.length, "lanes with different names");
  for (const { name, horizonMs, reserveMs, share } of lanes) {
    expect(`lanes.${name}.horizonMs`, horizonMs, horizonMs >= 0, "0 ms or more");
    expect(`lanes.${name}.reserveMs`, reserveMs, reserveMs >= 0, "0 ms or more");
    expect(`lanes.${name}.share`, share, share >= 0 && share < 1, "a fraction of at least 0 and below 1");
    const ahead = horizonMs + reserveMs;
    const most = fixed.guaranteeHorizonMs;
    expect(
      `lanes.${name}`,
      ahead,
      ahead < most,
      `horizonMs + reserveMs below ${most} ms, or shares would starve`,
    );
  }
  const shares = lanes.reduce((sum, lane) => sum + lane.share, 0);
  expect("lanes", shares, shares < 1, "shares that add up to less than 1");
}

function positive(name: string, value: number): void {
  expect(name, value, Number.isFinite(value) && value > 0, "a number above 0");
}

function expect(name: string, value: unknown, holds: boolean, what: string): void {
  if (!holds) throw new LimitsError(name, what, value);
}
