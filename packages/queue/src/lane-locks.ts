/** The locks of one lane's jobs in one process. */
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { LaneKeys } from "./keys.ts";

/** A job in hand, and the lock by which it is ours. */
export interface Locked {
  readonly id: string;
  readonly token: string;
}

const extend: Script<{ keys: LaneKeys; jobs: readonly Locked[]; ms: number }, readonly string[]> =
  defineScript(
    new URL("../lua/extend-locks.lua", import.meta.url),
    ({ keys, jobs, ms }) => ({
      keys: [keys.stalled, keys.active, ...jobs.map(({ id }) => `${keys.jobPrefix}${id}:lock`)],
      argv: [ms, ...jobs.flatMap(({ id, token }) => [id, token])],
    }),
    (reply) => z.array(z.string()).parse(reply),
    { whenFull: true },
  );

export class LaneLocks {
  readonly #redis: Redis;
  readonly #keys: LaneKeys;

  constructor(redis: Redis, keys: LaneKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Keeps the locks for `ms` from now. Resolves to the ids of jobs that are not ours any more. */
  async extend(jobs: readonly Locked[], ms: number): Promise<ReadonlySet<string>> {
    return new Set(await extend.run(this.#redis, { keys: this.#keys, jobs, ms }));
  }
}
