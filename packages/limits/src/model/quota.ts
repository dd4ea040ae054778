/** Levels: refill, backlog, waits, debits. Twin of `lua/quota.lua`. */
import type { Cost } from "../cost.ts";
import type { Parameters } from "../parameters.ts";
import { shiftBreaker } from "./breaker-clock.ts";
import { grow } from "./ceiling.ts";
import { ratesOf, type PoolState } from "./state.ts";

/**
 * Moves the pool's clock to `time` and refills what has accrued since.
 * @returns the pool's time, at least as late as any it has seen.
 */
export function advance(parameters: Parameters, state: PoolState, time: number): number {
  // A failover can bring a server whose clock is far behind: believe it, and refill nothing for the jump.
  if (state.at - time > parameters.clockStepMs) shiftTimes(state, time - state.at);
  const now = Math.max(time, state.at);
  const elapsed = now - state.at;
  state.at = now;
  for (const { dimension, at, capacity } of ratesOf(parameters, state)) {
    if (at.ceiling < 1) grow(parameters.ceiling, at, now);
    const perMs = (parameters.rates[dimension]?.perMs ?? 0) * at.ceiling;
    at.level = Math.min(capacity, at.level + elapsed * perMs);
  }
  const backlog = backlogMs(parameters, state);
  for (const { name, share } of parameters.lanes) {
    const lane = state.lanes[name];
    if (!lane) continue;
    lane.creditMs = Math.min(share * parameters.guaranteeCreditMs, lane.creditMs + elapsed * share);
    // What the level has made up for is no longer drawn.
    lane.drawnMs = Math.min(lane.drawnMs, backlog);
  }
  return now;
}

/** Keeps every moment where it was relative to a clock that stepped. */
function shiftTimes(state: PoolState, stepMs: number): void {
  state.at += stepMs;
  // For times that are kept elsewhere: see `answers.ts`.
  state.shiftedMs = (state.shiftedMs ?? 0) + stepMs;
  for (const at of Object.values(state.dimensions)) {
    at.cutAt += stepMs;
    if (!at.refusals) continue;
    at.refusals.heardAt += stepMs;
    at.refusals.trialDueAt += stepMs;
    if (at.refusals.trialAt > 0) at.refusals.trialAt += stepMs;
  }
  if (state.passed) state.passed.at += stepMs;
  for (const lane of Object.values(state.lanes)) {
    lane.ticketAt += stepMs;
    lane.firstAt += stepMs;
  }
  state.breaker = shiftBreaker(state.breaker, stepMs);
}

/** How long the pool works on what it has promised already, in ms. */
export function backlogMs(parameters: Parameters, state: PoolState): number {
  let longest = 0;
  for (const { at, perMs } of ratesOf(parameters, state)) longest = Math.max(longest, -at.level / perMs);
  return longest;
}

/** How long until a cost has accrued, in ms. A call pre-pays: it starts when its own cost is there. */
export function accrualMs(parameters: Parameters, state: PoolState, cost: Cost): number {
  let longest = 0;
  for (const { dimension, at, perMs } of ratesOf(parameters, state)) {
    longest = Math.max(longest, ((cost[dimension] ?? 0) - at.level) / perMs);
  }
  return longest;
}

/** A cost in ms of quota: its dearest dimension decides. */
export function costMs(parameters: Parameters, state: PoolState, cost: Cost): number {
  let longest = 0;
  for (const { dimension, perMs } of ratesOf(parameters, state)) {
    longest = Math.max(longest, (cost[dimension] ?? 0) / perMs);
  }
  return longest;
}

/** Takes a cost from the levels; they may go below zero. */
export function debit(parameters: Parameters, state: PoolState, cost: Cost): void {
  for (const { dimension, at } of ratesOf(parameters, state)) at.level -= cost[dimension] ?? 0;
}

/** Gives back what was reserved and not used, or takes what was used and not reserved. */
export function refund(parameters: Parameters, state: PoolState, reserved: Cost, used: Cost): void {
  for (const { dimension, at, capacity } of ratesOf(parameters, state)) {
    const unused = (reserved[dimension] ?? 0) - (used[dimension] ?? 0);
    at.level = Math.min(capacity, at.level + unused);
  }
}
