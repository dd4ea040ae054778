/**
 * The quota of one model in one Region: requests and tokens per minute, and the tokens per day it shares with
 * all other models of that Region. Reserve at the start, run down while the answer grows, settle at the end.
 */
import { bucketWindow } from "./bucket.ts";
import { fixedWindow } from "./fixed.ts";
import { slidingWindow } from "./sliding.ts";
import { ROUNDING, type Window, type WindowOptions } from "./window.ts";
import type { Model } from "../models/model.ts";

/** Which quota refused a call. */
export type ThrottledBy = "requests" | "tokens" | "tokens-per-day";

/** What an admitted call holds. */
export interface Reservation {
  readonly atMs: number;
  readonly tokens: number;
  /** What the quota is charged so far: the reservation, or more once the answer has outgrown it. */
  readonly charged: number;
}

/** A refused call costs nothing. */
export type Admission =
  | { readonly admitted: true; readonly reservation: Reservation }
  | { readonly admitted: false; readonly throttledBy: ThrottledBy };

/** The quota of one pool. */
export interface Meter {
  admit(nowMs: number, tokens: number): Admission;
  /**
   * The call has spent `spent` quota tokens so far. Up to the reservation that is covered; what goes beyond it
   * is charged as it happens and may put the quota into debt.
   */
  runDown(nowMs: number, reservation: Reservation, spent: number): Reservation;
  /** The call is over: exactly `spent` stays charged. */
  settle(nowMs: number, reservation: Reservation, spent: number): void;
}

const windows = { bucket: bucketWindow, fixed: fixedWindow, sliding: slidingWindow };

/** One meter per Region and model. `perDay` is that of the Region; null when the account has none. */
export function createMeter(model: Model, perDay: Window | null, nowMs: number): Meter {
  const requests =
    model.requestsPerMinute === null ? null : createWindow(model, model.requestsPerMinute, nowMs);
  const tokens = createWindow(model, model.tokensPerMinute, nowMs);
  const tokenWindows = perDay === null ? [tokens] : [tokens, perDay];

  const charge = (now: number, amount: number): void => {
    for (const window of tokenWindows) window.take(now, amount);
  };

  return {
    admit: (now, amount) => {
      // An account without quota hears the per-day message on its very first call.
      if (model.tokensPerMinute === 0) return refuse("tokens-per-day");
      if (requests !== null && requests.available(now) < 1 - ROUNDING) return refuse("requests");
      if (tokens.available(now) < amount - ROUNDING) return refuse("tokens");
      if (perDay !== null && perDay.available(now) < amount - ROUNDING) return refuse("tokens-per-day");
      requests?.take(now, 1);
      charge(now, amount);
      return { admitted: true, reservation: { atMs: now, tokens: amount, charged: amount } };
    },
    runDown: (now, reservation, spent) => {
      if (spent <= reservation.charged) return reservation;
      charge(now, spent - reservation.charged);
      return { ...reservation, charged: spent };
    },
    settle: (now, reservation, spent) => {
      if (spent >= reservation.charged) {
        charge(now, spent - reservation.charged);
        return;
      }
      for (const window of tokenWindows) {
        window.giveBack(now, reservation.charged - spent, reservation.atMs);
      }
    },
  };
}

/** Tokens per day across all models of a Region. Counted by UTC day; the real reset hour is not published. */
export function createDailyWindow(tokensPerDay: number, nowMs: number): Window {
  return fixedWindow(
    { perMinute: tokensPerDay / 1_440, capacitySeconds: 86_400, initialFill: 1, strangerShare: 0 },
    nowMs,
  );
}

function refuse(throttledBy: ThrottledBy): Admission {
  return { admitted: false, throttledBy };
}

function createWindow(model: Model, perMinute: number, nowMs: number): Window {
  const { capacitySeconds, initialFill, strangerShare } = model;
  const options: WindowOptions = { perMinute, capacitySeconds, initialFill, strangerShare };
  return windows[model.window](options, nowMs);
}
