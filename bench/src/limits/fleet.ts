/** What is simulated: a fleet with its load, and the server it meets. */
import type { PoolLimits } from "@sluice/limits";
import type { ServerKind } from "./server.ts";

export const POOL = "model";

export interface Scenario {
  readonly server: ServerKind;
  /** Fraction of the quota somebody else takes in every second spell of five minutes. */
  readonly stranger: number;
  /** What the server really gives, as a fraction of the quota that the limits name. Default 1. */
  readonly truth?: number;
  /** Fraction of the calls that are refused whatever the quota. Default 0. */
  readonly sporadicThrottles?: number;
  /** Fraction of the calls that fail at once. Default 0. */
  readonly sporadicFailures?: number;
  readonly loads: readonly LaneLoad[];
  readonly limits: PoolLimits;
  readonly processes: number;
  /** Calls a process may have in flight, per lane. */
  readonly slots: number;
  /**
   * Granted calls of a lane that may wait for their start in one process, beside its gate. Default: as many as there is
   * room for in a worker; 1: the lane asks for no other before the last one has started.
   */
  readonly grantsAhead?: number;
  readonly maxTokens: number;
  readonly output: number;
  /** How long a call takes on average. Default: what its output takes. */
  readonly latencyMs?: number;
  /** Left out of every figure. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
  readonly seed: number;
}

export interface LaneLoad {
  readonly lane: string;
  /** Mean input tokens. */
  readonly input: number;
  /** Jobs per second in the whole fleet; `saturated`: there is always a next one. */
  readonly arrivals: number | "saturated";
  /** Jobs that come only until then. Default: without end. */
  readonly untilMs?: number;
  /** Few large jobs that wait from the start, beside the others. */
  readonly large?: LargeJobs;
}

export interface LargeJobs {
  readonly count: number;
  readonly input: number;
  /** Whether a job is tried ever more rarely once it was refused three times in a row, as the drain does. */
  readonly apart: boolean;
}
