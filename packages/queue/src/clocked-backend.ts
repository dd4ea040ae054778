/**
 * BullMQ by a clock that is given to it. Its fetch lets delayed jobs go by the clock of the machine it runs on: one worker
 * that is ahead would start them for the whole fleet before their time. And it sleeps until the next is due by that clock.
 */
import { createRedisBackend, type BackendFactory, type RedisQueueBackend } from "bullmq";
import type { Clock } from "@sluice/job";
import { assertCounters } from "./unreadable.ts";

/** Where the script of a fetch has the time: after its 11 keys and their prefix. */
const FETCH_TIME = 12;

/** Where the reply to a fetch that found nothing has the time at which the next job is due. */
const NEXT_DUE = 3;

/** A backend whose times are those of `clock`, in the store; the worker above it keeps to the machine's. */
export function clockedBackend(clock: Clock): BackendFactory<RedisQueueBackend> {
  return (...made) => {
    const backend = createRedisBackend(...made);
    const exec = backend.execCommand.bind(backend);
    const fetch = backend.moveToActive.bind(backend);
    const wait = backend.waitForJob.bind(backend);
    return Object.assign(backend, {
      async execCommand(client, name, args) {
        if (name !== "moveToActive") return exec(client, name, args);
        const reply = await exec(client, name, args.with(FETCH_TIME, clock()));
        // Before BullMQ reads it: of a text that begins with digits it takes those.
        assertCounters(reply);
        return reply;
      },
      async moveToActive(...asked) {
        const reply = await fetch(...asked);
        const due: unknown = reply[NEXT_DUE];
        return typeof due === "number" && due > 0 ? reply.with(NEXT_DUE, due + aheadMs(clock)) : reply;
      },
      async waitForJob(timeout) {
        const marker = await wait(timeout);
        return marker !== null && marker.score > 0
          ? { ...marker, score: marker.score + aheadMs(clock) }
          : marker;
      },
    } satisfies Partial<RedisQueueBackend>);
  };
}

/** How far the machine's clock is ahead of the one that is given. */
function aheadMs(clock: Clock): number {
  return Date.now() - clock();
}
