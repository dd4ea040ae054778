/** What a lane does on a Redis that has reached `maxmemory`. */
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { LaneKeys } from "./keys.ts";

/**
 * How far beyond `maxmemory` jobs are still fetched, as a share of it. Each may free more than it takes, or take more:
 * where a fleet has filled Redis with answers, this is where it stops.
 */
const OVERDRAFT = 0.05;

/** Connections and scripts of a worker that starts take some hundred KB themselves. */
const LEAST_OVERDRAFT_BYTES = 2 * 1024 * 1024;

/** Whether an error says that Redis takes nothing that could need memory. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.includes("OOM command not allowed");
}

/** What a lane's next fetch on a full Redis would get: a job, none, or a refusal. */
export type WhenFull = "go" | "none" | "full";

const replySchema = z.enum(["go", "none", "full"]);

/** Lets the lane's next fetch through. */
const makeWay: Script<{ keys: LaneKeys }, WhenFull> = defineScript(
  new URL("../lua/make-way.lua", import.meta.url),
  ({ keys }) => ({
    keys: [keys.wait, keys.prioritized, keys.delayed, keys.events],
    argv: [OVERDRAFT, LEAST_OVERDRAFT_BYTES],
  }),
  (reply) => replySchema.parse(reply),
  { whenFull: true },
);

/** Gives jobs of vanished workers back that the last look has marked. */
export const recoverStalled: Script<{ keys: LaneKeys; everyMs: number }, number> = defineScript(
  new URL("../lua/recover-stalled.lua", import.meta.url),
  ({ keys, everyMs }) => ({
    keys: [keys.stalled, keys.active, keys.wait, keys.stalledCheck, keys.marker],
    argv: [keys.jobPrefix, everyMs],
  }),
  Number,
  { whenFull: true },
);

/**
 * After a fetch that a full Redis refused: lets another through, if there is a job and room for it.
 * @param stalledIntervalMs how often jobs of vanished workers are looked for.
 */
export async function letThrough(redis: Redis, keys: LaneKeys, stalledIntervalMs: number): Promise<WhenFull> {
  await recoverStalled.run(redis, { keys, everyMs: stalledIntervalMs });
  return makeWay.run(redis, { keys });
}
