/** Jobs that have not ended and are in no list and no set of their lane. */
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { LaneKeys } from "./keys.ts";

/** Jobs of one script: a script of more would hold up Redis for longer than a command may. */
const PAGE = 500;

const replySchema = z.tuple([z.number(), z.number()]);

const requeue: Script<{ keys: LaneKeys; from: number }, z.output<typeof replySchema>> = defineScript(
  new URL("../lua/requeue-lost.lua", import.meta.url),
  ({ keys, from }) => ({
    keys: [
      keys.wait,
      keys.prioritized,
      keys.delayed,
      keys.active,
      keys.failed,
      keys.completed,
      keys.deadlines,
      keys.marker,
    ],
    argv: [keys.jobPrefix, from, PAGE],
  }),
  (reply) => replySchema.parse(reply),
  { whenFull: true },
);

/** Puts them back at the head of the lane. Resolves to how many there were. */
export async function requeueLost(redis: Redis, keys: LaneKeys): Promise<number> {
  let found = 0;
  for (let from = 0; ; from += PAGE) {
    const [looked, lost] = await requeue.run(redis, { keys, from });
    found += lost;
    if (looked < PAGE) return found;
  }
}
