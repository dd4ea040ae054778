/**
 * What lives for a time in Redis lives until a time of day by Redis's clock. When that is set back, as by a fail-over to a
 * machine that is behind, the locks of a worker that died then live longer by as much, and so does the pause between two
 * looks for stalled jobs: its jobs would stand still.
 */
import { defineScript, type Script } from "@sluice/redis";
import type { LaneKeys } from "./keys.ts";

/** How long what lives may be meant to live at most, milliseconds. */
export interface Lives {
  readonly lockMs: number;
  readonly stalledIntervalMs: number;
}

/** Other workers may have other times. A life is cut when it is longer than ours by this factor. */
const FACTOR = 4;

/** Resolves to how many lives were cut to what they are meant to be: those that live on renew them well before. */
export const shortenLives: Script<{ keys: LaneKeys } & Lives, number> = defineScript(
  new URL("../lua/shorten-lives.lua", import.meta.url),
  ({ keys, lockMs, stalledIntervalMs }) => ({
    keys: [keys.active, keys.stalledCheck],
    argv: [keys.jobPrefix, lockMs, stalledIntervalMs, FACTOR],
  }),
  Number,
  { whenFull: true },
);
