/** Retries that wait although nothing keeps them: chosen at a pace, and brought forward by the sweeper. */
import { defineScript, type Script } from "@sluice/redis";
import { DUE_FIELD, NOTES_FIELD, type LaneKeys } from "./keys.ts";
import { RETURNED } from "./priorities.ts";

/** A retry that is due so soon comes by itself. */
const SOON_MS = 1_000;

/** A retry waits at least the longest first back-off: sooner it would only meet what the last try met. */
const LEAST_WAIT_MS = 5_000;

/** The lane's fleet brings retries forward once in this time: one, then two, four, … */
const PACE_MS = 1_000;
const MOST_AT_ONCE = 16;

/** Delayed jobs looked at. Retries are due within minutes, so they are among the first. */
const LOOKED_AT = 200;

/** The ids of the retries that may come now. Empty where jobs of the lane wait their turn already. */
export const forward: Script<{ keys: LaneKeys; now: number }, readonly string[]> = defineScript(
  new URL("../lua/forward.lua", import.meta.url),
  ({ keys, now }) => ({
    keys: [keys.wait, keys.prioritized, keys.delayed, keys.forwardPace],
    argv: [
      keys.jobPrefix,
      now,
      SOON_MS,
      LEAST_WAIT_MS,
      PACE_MS,
      MOST_AT_ONCE,
      LOOKED_AT,
      NOTES_FIELD,
      RETURNED,
      DUE_FIELD,
    ],
  }),
  (reply) => (Array.isArray(reply) ? reply.map(String) : []),
  { whenFull: true },
);
