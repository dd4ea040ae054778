/**
 * How jobs ended. The record is written before BullMQ hears of the end, so a run that comes back finds it and pays
 * nothing twice; and it outlives the job in Redis, so an id never runs again within the idempotency window.
 */
import { outcomeSchema, type Outcome } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { cancelKey, ledgerKey, outcomeKey } from "./keys.ts";
import { readStored, writeStored } from "./stored.ts";

/** How long an outcome can be read, from the job's end, milliseconds. At least the idempotency window. */
export const OUTCOME_TTL_MS: number = 24 * 60 * 60 * 1000;

/**
 * An answer that was paid for is stored on a full Redis too, and its job lets go of its request then. What this may add
 * beyond `maxmemory` is bounded by the calls in flight: a full Redis lets nobody start more.
 */
const WHEN_FULL = { whenFull: true } as const;

const put: Script<{ key: string; outcome: Outcome }, boolean> = defineScript(
  new URL("../lua/outcome-put.lua", import.meta.url),
  ({ key, outcome }) => ({ keys: [key], argv: [writeStored("outcome", outcome), OUTCOME_TTL_MS] }),
  (reply) => reply === 1,
  WHEN_FULL,
);

const putAndClose: Script<{ keySpace: KeySpace; outcome: Outcome; owner: string }, boolean> = defineScript(
  new URL("../lua/outcome-put-and-close.lua", import.meta.url),
  ({ keySpace, outcome, owner }) => ({
    keys: [
      outcomeKey(keySpace, outcome.id),
      ledgerKey(keySpace, outcome.id),
      cancelKey(keySpace, outcome.id),
    ],
    argv: [writeStored("outcome", outcome), OUTCOME_TTL_MS, owner, instead(outcome)],
  }),
  (reply) => reply === 1,
  WHEN_FULL,
);

/** How a cancelled job ends although it was answered, as JSON. The answer was paid, but its caller was told otherwise. */
function instead({ outcome, id, tenant, acceptedAt, endedAt, attempts, reservation }: Outcome): string {
  if (outcome !== "completed" && outcome !== "filtered") return "";
  const cancelled: Outcome = { outcome: "cancelled", id, tenant, acceptedAt, endedAt, attempts, reservation };
  return writeStored("outcome", cancelled);
}

export class OutcomeStore {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** Records the end of a job, unless it has one: a job ends once. Resolves to whether this was the first. */
  async put(outcome: Outcome): Promise<boolean> {
    return put.run(this.#redis, { key: this.#key(outcome.id), outcome });
  }

  /**
   * `put`, and the end of the owner's entry in the call ledger, in one step: there is no moment in which a job has an
   * answer and may be called again, or has none and nobody is known to work on it. An answer to a job that was cancelled
   * before this moment is not stored: the job ends as cancelled. Resolves to whether the job has ended so, now and for
   * the first time; else `get` tells how it ended. Safe to repeat.
   * @param owner as in `CallLedger.begin`. An entry that another owner took over stays with that owner.
   */
  async putAndClose(outcome: Outcome, owner: string): Promise<boolean> {
    return putAndClose.run(this.#redis, { keySpace: this.#keySpace, outcome, owner });
  }

  /**
   * How the job ended; `undefined` while it has not, or after the record expired.
   * Rejects when the stored record is not one of ours; with NewerVersionError when a newer version of Sluice wrote it.
   */
  async get(id: string): Promise<Outcome | undefined> {
    const stored = await this.#redis.get(this.#key(id));
    return stored === null ? undefined : readStored("outcome", outcomeSchema, stored, `The outcome of ${id}`);
  }

  #key(id: string): string {
    return outcomeKey(this.#keySpace, id);
  }
}
