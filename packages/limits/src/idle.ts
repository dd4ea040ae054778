/** Whether a pool could take more than it is asked for. Pure. */
import type { Inspection } from "./inspection.ts";

/** What of the level that an idle pool saves up must be there: less, and the quota is about used. */
const SPARE = 0.5;

/** Whether the pool takes calls, and has quota to spare in every dimension. */
export function isIdle({ takesCalls, dimensions }: Inspection): boolean {
  if (!takesCalls) return false;
  return Object.values(dimensions).every(({ level, capacity }) => level >= capacity * SPARE);
}
