/** Which lane may commit the quota, and when a denied waiter returns. Twin of `lua/lanes.lua`. */
import type { LaneLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { ratesOf, type LaneState, type PoolState } from "./state.ts";

/** What a lane asks for; times in ms of quota. */
export interface Claim {
  readonly id: string;
  readonly limits: LaneLimits;
  readonly lane: LaneState;
  readonly costMs: number;
  /** What the pool has promised already. */
  readonly backlogMs: number;
  /** How long until the cost has accrued. */
  readonly accrualMs: number;
  /** How far ahead of its start the lane may commit now. */
  readonly horizonMs: number;
  /** Somebody waits in a more urgent lane. */
  readonly outranked: boolean;
}

/** The lane's horizon; short for all while a ceiling is below 1, since throttles must be felt at once. */
export function horizonMs(parameters: Parameters, state: PoolState, limits: LaneLimits): number {
  for (const { at } of ratesOf(parameters, state)) {
    if (at.ceiling < 1) return Math.min(limits.horizonMs, parameters.ceiling.horizonMs);
  }
  return limits.horizonMs;
}

/** Whether a more urgent lane has handed out tickets that are not due yet. */
export function isOutranked(parameters: Parameters, state: PoolState, limits: LaneLimits): boolean {
  for (const { name } of parameters.lanes) {
    if (name === limits.name) return false;
    if ((state.lanes[name]?.ticketAt ?? 0) > state.at) return true;
  }
  return false;
}

/**
 * Whether the private reserve covers the call. What is drawn counts by itself, not by the level: a large request
 * that was granted ahead and has not started takes nothing from the server yet.
 */
function withinReserve({ limits, lane, costMs }: Claim): boolean {
  return limits.reserveMs > 0 && lane.drawnMs + costMs <= limits.reserveMs;
}

/** How much more is promised than the lane may commit to. */
function excessMs({ limits, backlogMs, horizonMs: horizon }: Claim): number {
  return backlogMs - limits.reserveMs - horizon;
}

/** May the lane commit the cost now? By its reserve, its horizon, or the share it has saved up. */
export function mayCommit(parameters: Parameters, claim: Claim): boolean {
  if (withinReserve(claim) || excessMs(claim) <= 0) return true;
  const { limits, lane, backlogMs } = claim;
  return limits.share > 0 && lane.creditMs > 0 && backlogMs <= parameters.guaranteeHorizonMs;
}

/**
 * Commits the lane to its cost.
 * @returns how long until the call may start, in ms.
 */
export function commit(parameters: Parameters, claim: Claim): number {
  const { limits, lane, costMs } = claim;
  const wait = withinReserve(claim) ? 0 : Math.max(0, claim.accrualMs - limits.reserveMs);
  if (limits.reserveMs > 0) lane.drawnMs += costMs;
  if (lane.firstId === claim.id) lane.firstId = "";
  if (limits.share > 0) {
    const left = lane.creditMs - costMs * lane.usage;
    const least = -limits.share * parameters.guaranteeCreditMs;
    // In by the guarantee: the full debt, or a few large requests would turn a small share into most of the quota.
    lane.creditMs = excessMs(claim) > 0 ? left : Math.max(Math.min(lane.creditMs, least), left);
  }
  return wait;
}

/**
 * Gives a denied waiter a time of return of its own. Without it every waiter would return at once and all but
 * one in vain. Non-binding: a ticket reserves nothing.
 * @returns the time, in ms of the pool's clock.
 */
export function takeTicket(parameters: Parameters, claim: Claim, now: number): number {
  const { limits, lane, outranked } = claim;
  let wait = excessMs(claim);
  let spacing = claim.costMs * lane.usage;
  if (outranked && limits.share > 0) {
    const untilCredit = Math.max(0, -lane.creditMs) / limits.share + 1;
    const untilGuarantee = Math.max(untilCredit, claim.backlogMs - parameters.guaranteeHorizonMs);
    if (untilGuarantee < wait) {
      wait = untilGuarantee;
      // At full pace almost every returning head would be denied, and one process would take the whole share.
      spacing /= limits.share;
    }
    // Somebody is back soon after the share has come, or what is saved up meanwhile overflows.
    spacing = Math.min(spacing, parameters.guaranteeSpacingMs);
  }
  // Tickets are laid out by guesses at what others will cost. Where one request is a large part of the burst, the gaps
  // between tickets let the lanes below slip in, or the level overflow; so the first in line of the most urgent
  // waiting lane returns to the ms.
  const large = claim.costMs > parameters.burstMs / 2 && !outranked;
  if (
    large &&
    (lane.firstId === "" || lane.firstId === claim.id || now > lane.firstAt + parameters.firstGraceMs)
  ) {
    lane.firstId = claim.id;
    lane.firstAt = now + wait;
    lane.ticketAt = Math.max(lane.ticketAt, lane.firstAt + spacing);
    return lane.firstAt;
  }
  const at = Math.max(lane.ticketAt, now + wait);
  lane.ticketAt = at + spacing;
  return at;
}

/** A call of the lane has ended: what it did not use is no longer drawn. Times in ms of quota. */
export function giveBackDrawn(lane: LaneState, reservedMs: number, usedMs: number): void {
  lane.drawnMs = Math.max(0, lane.drawnMs - Math.max(0, reservedMs - usedMs));
}

/** Learns from an answered call how much of its reservations the lane really uses. */
export function learnUsage(
  parameters: Parameters,
  lane: LaneState,
  reservedMs: number,
  usedMs: number,
): void {
  if (reservedMs <= 0) return;
  const ratio = Math.min(parameters.usageCap, usedMs / reservedMs);
  lane.usage += parameters.usageWeight * (ratio - lane.usage);
}
