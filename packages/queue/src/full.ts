/** What a lane does on a Redis that has reached `maxmemory`. */
import { defineScript, type Script } from "@sluice/redis";
import type { LaneKeys } from "./keys.ts";

/**
 * How far beyond `maxmemory` jobs are still fetched, one at a time for each lane and process, as a share of it. Each may
 * free more than it takes, or take more: where a fleet has filled Redis with answers, this is where it stops.
 */
const OVERDRAFT = 0.05;

/** Connections and scripts of a worker that starts take some hundred KB themselves. */
const LEAST_OVERDRAFT_BYTES = 2 * 1024 * 1024;

/** Whether an error says that Redis takes nothing that could need memory. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.includes("OOM command not allowed");
}

/** Lets the lane's next fetch through on a full Redis. Resolves to whether it will get a job. */
export const makeWay: Script<{ keys: LaneKeys }, boolean> = defineScript(
  new URL("../lua/make-way.lua", import.meta.url),
  ({ keys }) => ({
    keys: [keys.wait, keys.prioritized, keys.delayed, keys.events],
    argv: [OVERDRAFT, LEAST_OVERDRAFT_BYTES],
  }),
  (reply) => reply === 1,
  { whenFull: true },
);
