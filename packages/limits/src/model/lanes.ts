/** Which lane may commit the quota, and when a denied waiter returns. Twin of `lua/lanes.lua`. */
import type { LaneLimits, Parameters } from "../limits.ts";
import type { LaneState } from "./state.ts";

/** How a request stands in its lane. */
export interface Standing {
  /** May it be granted now? */
  readonly admitted: boolean;
  /** Only the guaranteed share let it in. */
  readonly byGuarantee: boolean;
}

/** A lane may commit up to its horizon; one with share saved up, up to the guarantee's. */
export function standing(
  parameters: Parameters,
  limits: LaneLimits,
  lane: LaneState,
  backlog: number,
): Standing {
  if (backlog <= limits.horizonMs) return { admitted: true, byGuarantee: false };
  const guaranteed = limits.share > 0 && lane.creditMs > 0 && backlog <= parameters.guaranteeHorizonMs;
  return { admitted: guaranteed, byGuarantee: guaranteed };
}

/**
 * Gives a denied waiter a time of return of its own. Without it every waiter would return at once and all but
 * one in vain. Non-binding: a ticket reserves nothing.
 * @returns the time, in ms of the pool's clock.
 */
export function takeTicket(
  parameters: Parameters,
  limits: LaneLimits,
  lane: LaneState,
  now: number,
  backlog: number,
  cost: number,
): number {
  let wait = backlog - limits.horizonMs;
  let spacing = cost * lane.usage;
  if (limits.share > 0) {
    const untilCredit = Math.max(0, -lane.creditMs) / limits.share + 1;
    const untilGuarantee = Math.max(untilCredit, backlog - parameters.guaranteeHorizonMs);
    if (untilGuarantee < wait) {
      wait = untilGuarantee;
      // At full pace almost every returning head would be denied, and one process would take the whole share.
      spacing = Math.min(spacing / limits.share, parameters.guaranteeSpacingMs);
    }
  }
  const at = Math.max(lane.ticketAt, now + wait);
  lane.ticketAt = at + spacing;
  return at;
}

/** Charges a grant to the lane's share. */
export function chargeShare(
  parameters: Parameters,
  limits: LaneLimits,
  lane: LaneState,
  cost: number,
  byGuarantee: boolean,
): void {
  if (limits.share === 0) return;
  const left = lane.creditMs - cost * lane.usage;
  if (byGuarantee) {
    // The full debt, or a few large requests would turn a small share into most of the quota.
    lane.creditMs = left;
  } else {
    const least = -limits.share * parameters.guaranteeCreditMs;
    lane.creditMs = Math.max(Math.min(lane.creditMs, least), left);
  }
}

/** Learns from a settled call how much of its reservations the lane really uses. */
export function learnUsage(parameters: Parameters, lane: LaneState, reserved: number, used: number): void {
  if (reserved <= 0) return;
  const ratio = Math.min(parameters.usageCap, used / reserved);
  lane.usage += parameters.usageWeight * (ratio - lane.usage);
}
