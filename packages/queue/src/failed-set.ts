/**
 * The failed set of a lane as the mover sees it: an outbox. A job stays in it until its dead letter is stored, and
 * is dropped only if it is still that same death.
 */
import { OWN_FAILURES, parseJson, readFailure, type Failure, type NewerVersionError } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { FAILURE_FIELD, laneKeys, type LaneKeys } from "./keys.ts";
import { unlessWrongType } from "./wrong-type.ts";

/** A dead job in the outbox. */
export interface FailedJob {
  readonly id: string;
  /** As stored; parse it before use. */
  readonly data: unknown;
  /** What it died of; of a newer version of Sluice, the error that says so. */
  readonly failure: Failure | NewerVersionError;
  readonly attempts: number;
  readonly stalls: number;
  /** Times it was fetched. */
  readonly fetched: number;
  /** When it died, milliseconds since the epoch: the failed score, which identifies this death. */
  readonly diedAt: number;
}

const drop: Script<{ keys: LaneKeys; id: string; diedAt: number }, boolean> = defineScript(
  new URL("../lua/drop-failed.lua", import.meta.url),
  ({ keys, id, diedAt }) => {
    const hash = keys.jobPrefix + id;
    return { keys: [keys.failed, hash, `${hash}:logs`, `${hash}:lock`], argv: [id, diedAt] };
  },
  (reply) => reply === 1,
  { whenFull: true },
);

const hashSchema = z.object({
  // A job with fields that make no sense is still a job that died: it is moved with what can be read.
  data: z.string().catch("null"),
  atm: z.coerce.number().int().catch(0),
  stc: z.coerce.number().int().catch(0),
  ats: z.coerce.number().int().catch(0),
  failedReason: z.string().catch(""),
  [FAILURE_FIELD]: z.string().optional(),
});

export class FailedSet {
  readonly #redis: Redis;
  readonly #keys: LaneKeys;

  constructor(redis: Redis, keySpace: KeySpace, pool: string, lane: string) {
    this.#redis = redis;
    this.#keys = laneKeys(keySpace, pool, lane);
  }

  /** Dead jobs waiting for their dead letter. */
  async size(): Promise<number> {
    return this.#redis.zcard(this.#keys.failed);
  }

  /**
   * The oldest dead jobs but the first `skip`, at most `limit`. An id without a job (it vanished between the two reads,
   * or something else deleted it) is taken out of the set: there is nothing to move. One whose key is no hash is a dead
   * job of which nothing can be read.
   */
  async oldest(limit: number, skip = 0): Promise<FailedJob[]> {
    const flat = await this.#redis.zrangebyscore(
      this.#keys.failed,
      "-inf",
      "+inf",
      "WITHSCORES",
      "LIMIT",
      skip,
      limit,
    );
    const found: FailedJob[] = [];
    for (let index = 0; index + 1 < flat.length; index += 2) {
      const id = flat[index] ?? "";
      const fields = await unlessWrongType(this.#redis.hgetall(this.#keys.jobPrefix + id), undefined);
      if (fields !== undefined && Object.keys(fields).length === 0) {
        await this.#redis.zrem(this.#keys.failed, id);
        continue;
      }
      const hash = hashSchema.parse(fields ?? {});
      found.push({
        id,
        data: parseJson(hash.data),
        failure: failureOf(hash[FAILURE_FIELD], hash.failedReason),
        attempts: hash.atm,
        stalls: hash.stc,
        fetched: hash.ats,
        diedAt: Number(flat[index + 1]),
      });
    }
    return found;
  }

  /** Removes the job, unless it was retried since it was read. Resolves to whether it was removed. */
  async drop(job: Pick<FailedJob, "id" | "diedAt">): Promise<boolean> {
    return drop.run(this.#redis, { keys: this.#keys, id: job.id, diedAt: job.diedAt });
  }
}

/** The failure Sluice stored, or the best that can be said of a job that something else failed. */
function failureOf(stored: string | undefined, reason: string): Failure | NewerVersionError {
  const read = stored === undefined ? undefined : readFailure(parseJson(stored));
  if (read !== undefined) return read;
  return { kind: "terminal", errorClass: OWN_FAILURES.outside.errorClass, message: reason.slice(0, 200) };
}
