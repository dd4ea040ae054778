/** A job that the gate cannot serve here or today goes back: why, and for how long. It keeps no place in its lane's line. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DeferReason, Random } from "@sluice/job";
import type { Candidate, DrainOptions } from "./candidate.ts";
import type { ChainAnswer } from "./chain.ts";

/** How long a job that cannot run here now stays away. */
export const ELSEWHERE_MS = 1_000;

/**
 * How long a process that is denied access keeps a job before it hands it to the others. Nothing keeps it from fetching, and
 * it must not pass all jobs of the lane through its hands.
 */
const DENIED_PAUSE_MS = 2_000;

const FIRST_REST_MS = 60_000;
const LONGEST_REST_MS = 3_600_000;

/** Spread over this long after the day's turn: many may wait for it. */
const SPREAD_MS = 30_000;

export interface PutOff {
  readonly reason: DeferReason;
  readonly delayMs: number;
}

/** Resolves to `undefined` when the job has to leave for another reason: it was woken, or its deadline has passed. */
export async function putOff(
  asked: Extract<ChainAnswer, { type: "elsewhere" | "apart" }>,
  { job, data }: Candidate,
  { clock, random }: Pick<DrainOptions, "clock" | "random">,
  woken: AbortSignal,
): Promise<PutOff | undefined> {
  const leftMs = data.deadlineAt - clock();
  if (asked.type === "apart") {
    const againMs = asked.askMs ?? dayRestMs(asked.turnsInMs, job.attemptsStarted, random);
    return { reason: "day-rest", delayMs: Math.min(againMs, leftMs) };
  }
  if (!asked.denied) return { reason: "no-identity", delayMs: ELSEWHERE_MS };
  await pause(Math.min(DENIED_PAUSE_MS, leftMs), woken);
  if (woken.aborted || clock() >= data.deadlineAt) return undefined;
  return { reason: "denied-here", delayMs: ELSEWHERE_MS };
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

/** Sleeps until the signal fires at the latest. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs > 0) await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
