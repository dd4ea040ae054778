/** What a call is told that asks now; changes nothing but the turn of the day. Twin of `lua/decide.lua`. */
import type { Cost } from "../cost.ts";
import type { Closure } from "../limiter.ts";
import type { LaneLimits } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { dayClosedMs, dayRestMs } from "./day.ts";
import { deniedForMs } from "./denied-processes.ts";
import { knock } from "./door.ts";
import { horizonMs, isOutranked, mayCommit, type Claim } from "./lanes.ts";
import { accrualMs, backlogMs, costMs } from "./quota.ts";
import { laneState, type DayState, type PoolState } from "./state.ts";

export interface Question {
  readonly pool: string;
  readonly lane: string;
  /** The reservation it would be; '' for somebody new in line. */
  readonly id: string;
  readonly job: string;
  /** The caller's name; '' if it has none. */
  readonly process?: string;
  readonly operation?: string;
  readonly cost: Cost;
}

/** With what the call asks of its lane: what `commit` or `takeTicket` is to be given. */
export type Decision = { readonly claim: Claim } & (
  | { readonly type: "granted"; readonly probe: boolean }
  | { readonly type: "wait" }
  | { readonly type: "open"; readonly afterMs: number; readonly cause: Closure }
);

/** @throws RangeError for an unknown lane. */
export function decide(
  parameters: Parameters,
  state: PoolState,
  day: DayState,
  question: Question,
): Decision {
  const { at: now } = state;
  const rank = rankOf(parameters, question.lane);
  const claim = claimOf(parameters, state, rank.limits, question);
  const closedMs = dayClosedMs(parameters.day, day, question, now);
  if (closedMs > 0) return { claim, type: "open", afterMs: closedMs, cause: "day" };
  const restMs = dayRestMs(parameters.day, day, question.cost, now);
  if (restMs > 0) return { claim, type: "open", afterMs: restMs, cause: "day-rest" };
  const { job, process = "", operation = "" } = question;
  const door = knock(parameters, state.breaker, { ...rank, job, process }, now);
  if (door.type === "shut") return { claim, ...door, type: "open" };
  const probe = door.type === "probe";
  const { phase } = state.breaker;
  if (phase !== "suspected" && phase !== "isolated") {
    const deniedMs = deniedForMs(parameters, state, { operation, process });
    if (deniedMs > 0) return { claim, type: "open", afterMs: deniedMs, cause: "denied" };
  }
  // A probe does not queue behind its lane's horizon, but pays like every call.
  if (probe || mayCommit(parameters, claim)) return { claim, type: "granted", probe };
  return { claim, type: "wait" };
}

function rankOf({ lanes }: Parameters, name: string): { rank: number; last: number; limits: LaneLimits } {
  const rank = lanes.findIndex((lane) => lane.name === name);
  const limits = lanes[rank];
  if (!limits) {
    const names = lanes.map((lane) => lane.name).join(", ");
    throw new RangeError(`Expected \`lane\` to be one of ${names}, got '${name}'`);
  }
  return { rank, last: lanes.length - 1, limits };
}

function claimOf(
  parameters: Parameters,
  state: PoolState,
  limits: LaneLimits,
  { id, cost }: Question,
): Claim {
  return {
    id,
    limits,
    lane: laneState(state, limits.name),
    costMs: costMs(parameters, state, cost),
    backlogMs: backlogMs(parameters, state),
    accrualMs: accrualMs(parameters, state, cost),
    horizonMs: horizonMs(parameters, state, limits),
    outranked: isOutranked(parameters, state, limits),
  };
}
