/** A job that the gate cannot serve here or today goes back: why, and for how long. It keeps no place in its lane's line. */
import type { DeferReason, Random } from "@sluice/job";
import type { Candidate, DrainOptions } from "./candidate.ts";
import type { ChainAnswer } from "./chain.ts";

/** How long a job that cannot run here now stays away. */
export const ELSEWHERE_MS = 1_000;

const FIRST_REST_MS = 60_000;
const LONGEST_REST_MS = 3_600_000;

/** Spread over this long after the day's turn: many may wait for it. */
const SPREAD_MS = 30_000;

export interface PutOff {
  readonly reason: DeferReason;
  readonly delayMs: number;
  /** For how long this process shall fetch no other: it would have to go back too. 0: it may. */
  readonly restMs: number;
}

/** What follows when no pool of the chain takes the job. Pure. */
export function putOff(
  asked: Extract<ChainAnswer, { type: "elsewhere" | "apart" }>,
  { job, data }: Candidate,
  { clock, random }: Pick<DrainOptions, "clock" | "random">,
): PutOff {
  if (asked.type === "elsewhere") {
    return { reason: asked.reason, delayMs: ELSEWHERE_MS, restMs: ELSEWHERE_MS };
  }
  const againMs = asked.askMs ?? dayRestMs(asked.turnsInMs, job.attemptsStarted, random);
  return { reason: "day-rest", delayMs: Math.min(againMs, data.deadlineAt - clock()), restMs: 0 };
}

/**
 * When a job comes back that reserves more than is left of the day's tokens. Room may come back when calls use less than
 * they reserve, so it asks now and then, ever more rarely; when the day turns it need not ask in vain any more.
 */
function dayRestMs(turnsInMs: number, fetched: number, random: Random): number {
  const waitMs =
    Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(fetched - 1, 20)) * (0.5 + random() / 2);
  return waitMs < turnsInMs ? waitMs : turnsInMs + random() * SPREAD_MS;
}
