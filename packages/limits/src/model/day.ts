/**
 * Tokens per day: one figure for all pools of a scope, counted by UTC day. Twin of `lua/day.lua`.
 *
 * A throttle for them parks its pool: a model may have a day of its own, and others go on. A second pool that meets one
 * meanwhile confirms that it is the account's day, and the whole scope is parked.
 */
import type { Cost } from "../cost.ts";
import type { Parameters } from "../parameters.ts";
import type { DayState, Parking, Reservation } from "./state.ts";

const DAY_MS = 86_400_000;

export function freshDay(): DayState {
  return { day: 0, used: 0, parkedUntil: 0, parkings: 0 };
}

/** Moves the day's clock. One that stepped back leaves a parking as long as it was. */
export function advanceDay({ clockStepMs }: Parameters, day: DayState, now: number): void {
  const stepMs = now - (day.at ?? now);
  day.at = now;
  if (-stepMs <= clockStepMs) return;
  if (day.parkedUntil > 0) day.parkedUntil += stepMs;
  if (day.pools === undefined) return;
  const pools = Object.entries(day.pools).map(([name, parking]) => [
    name,
    { ...parking, until: parking.until + stepMs },
  ]);
  day.pools = Object.fromEntries(pools);
}

/** When the parking of the pool ends, its own or that of its scope; in the past if it is not parked. */
export function parkedUntil(day: DayState, pool: string): number {
  return Math.max(day.parkedUntil, day.pools?.[pool]?.until ?? 0);
}

/** With less than this part of its quota left the day is used up; before that it is the size of a call that is in its way. */
const REST_PART = 0.01;

/** How long the pool takes no calls of this cost, whoever makes them, in ms; 0: it does, or `dayRestMs` says more. */
export function dayClosedMs(
  limits: Parameters["day"],
  day: DayState,
  { pool, cost }: { pool: string; cost: Cost },
  now: number,
): number {
  const today = Math.floor(now / DAY_MS);
  // The day after is one that had begun already, before a clock stepped back over midnight.
  if (day.day !== today && day.day !== today + 1) {
    day.day = today;
    day.used = 0;
  }
  const parkedMs = parkedUntil(day, pool) - now;
  if (parkedMs > 0) return parkedMs;
  if (fits(limits, day, cost) || hasRest(limits, day)) return 0;
  return Math.min(limits.recheckMs, (today + 1) * DAY_MS - now);
}

/**
 * For how long this call is too large for what is left of the day, while smaller ones are not, in ms; 0: it is not. After
 * `dayClosedMs`.
 */
export function dayRestMs(limits: Parameters["day"], day: DayState, cost: Cost, now: number): number {
  return fits(limits, day, cost) ? 0 : (day.day + 1) * DAY_MS - now;
}

function fits({ quota }: Parameters["day"], { used }: DayState, cost: Cost): boolean {
  return quota === undefined || used + (cost["tokens-per-day"] ?? 0) <= quota;
}

function hasRest({ quota = 0 }: Parameters["day"], { used }: DayState): boolean {
  return quota - used > quota * REST_PART;
}

export function debitDay(day: DayState, cost: Cost): void {
  day.used += cost["tokens-per-day"] ?? 0;
}

/** Yesterday's reservations do not count against today. */
export function refundDay(day: DayState, reservation: Reservation, used: Cost): void {
  if (day.day !== reservation.day) return;
  day.used += (used["tokens-per-day"] ?? 0) - (reservation.cost["tokens-per-day"] ?? 0);
}

/**
 * The server says the day is over: rates are not to blame, so park instead of cutting them.
 * @returns what is parked from now on that was not before.
 */
export function park(
  limits: Parameters["day"],
  day: DayState,
  pool: string,
  now: number,
): "pool" | "scope" | undefined {
  if (now < parkedUntil(day, pool)) return undefined;
  const pools = { ...day.pools };
  const isConfirmed = Object.entries(pools).some(([name, { until }]) => name !== pool && now < until);
  if (!isConfirmed) {
    day.pools = { ...pools, [pool]: longer(limits, pools[pool], now) };
    return "pool";
  }
  const { until, parkings } = longer(limits, day, now);
  day.parkedUntil = until;
  day.parkings = parkings;
  delete day.pools;
  return "scope";
}

/** Each parking in a row lasts twice as long. */
function longer(limits: Parameters["day"], last: { parkings: number } | undefined, now: number): Parking {
  const parkings = (last?.parkings ?? 0) + 1;
  return { parkings, until: now + Math.min(limits.parkMostMs, limits.parkMs * 2 ** (parkings - 1)) };
}

/** An answer after the parking: the next one is a first one again. */
export function answeredToday(day: DayState, pool: string, now: number): void {
  if (now < parkedUntil(day, pool)) return;
  day.parkedUntil = 0;
  day.parkings = 0;
  if (day.pools?.[pool] === undefined) return;
  const { [pool]: _, ...others } = day.pools;
  if (Object.keys(others).length > 0) day.pools = others;
  else delete day.pools;
}

/** An operator ends every parking of the scope. */
export function unpark(day: DayState): void {
  day.parkedUntil = 0;
  day.parkings = 0;
  delete day.pools;
}
