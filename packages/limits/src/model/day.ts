/** Tokens per day: one figure for all pools of a scope, counted by UTC day. Twin of `lua/day.lua`. */
import type { Cost } from "../cost.ts";
import type { Parameters } from "../parameters.ts";
import type { DayState, Reservation } from "./state.ts";

const DAY_MS = 86_400_000;

export function freshDay(): DayState {
  return { day: 0, used: 0, parkedUntil: 0, parkings: 0 };
}

/** How long the scope takes no calls of this cost, in ms; 0: it does. */
export function dayClosedMs(limits: Parameters["day"], day: DayState, cost: Cost, now: number): number {
  const today = Math.floor(now / DAY_MS);
  if (day.day !== today) {
    day.day = today;
    day.used = 0;
  }
  if (now < day.parkedUntil) return day.parkedUntil - now;
  if (limits.quota === undefined || day.used + (cost["tokens-per-day"] ?? 0) <= limits.quota) return 0;
  return Math.min(limits.recheckMs, (today + 1) * DAY_MS - now);
}

export function debitDay(day: DayState, cost: Cost): void {
  day.used += cost["tokens-per-day"] ?? 0;
}

/** Yesterday's reservations do not count against today. */
export function refundDay(day: DayState, reservation: Reservation, used: Cost): void {
  if (day.day !== reservation.day) return;
  day.used += (used["tokens-per-day"] ?? 0) - (reservation.cost["tokens-per-day"] ?? 0);
}

/** The server says the day is over: rates are not to blame, so park instead of cutting them. */
export function park(limits: Parameters["day"], day: DayState, now: number): boolean {
  if (now < day.parkedUntil) return false;
  day.parkings += 1;
  day.parkedUntil = now + Math.min(limits.parkMostMs, limits.parkMs * 2 ** (day.parkings - 1));
  return true;
}

export function unpark(day: DayState): void {
  day.parkedUntil = 0;
  day.parkings = 0;
}
