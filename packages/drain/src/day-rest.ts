/**
 * When a job comes back that reserves more than is left of the day's tokens. Room may come back when calls use less than
 * they reserve, so it asks now and then, ever more rarely; when the day turns it need not ask in vain any more.
 */
import type { Random } from "@sluice/job";

const FIRST_MS = 60_000;
const LONGEST_MS = 3_600_000;

/** Spread over this long after the turn: many may wait for it. */
const SPREAD_MS = 30_000;

/**
 * @param turnsInMs until the day turns, milliseconds.
 * @param fetched how often the job had been fetched.
 */
export function dayRestMs(turnsInMs: number, fetched: number, random: Random): number {
  const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(fetched - 1, 20)) * (0.5 + random() / 2);
  return waitMs < turnsInMs ? waitMs : turnsInMs + random() * SPREAD_MS;
}
