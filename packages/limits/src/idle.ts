/** Whether a pool could take more than it is asked for. Pure. */
import type { Inspection } from "./inspection.ts";

/** What of the level that an idle pool saves up must be there: less, and the quota is about used. */
const SPARE = 0.5;

/** Whether the pool takes calls, nothing has failed since its last answer, and every dimension has quota to spare. */
export function isIdle({ takesCalls, breaker, dimensions }: Inspection): boolean {
  if (!takesCalls || breaker.failures > 0) return false;
  return Object.values(dimensions).every(({ level, capacity }) => level >= capacity * SPARE);
}
