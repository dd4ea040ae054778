/**
 * How jobs ended. The record is written before BullMQ hears of the end, so a run that comes back finds it and pays
 * nothing twice; and it outlives the job in Redis, so an id never runs again within the idempotency window.
 */
import { outcomeSchema, type Outcome } from "@sluice/job";
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";

/** How long an outcome can be read, from the job's end, milliseconds. At least the idempotency window. */
export const OUTCOME_TTL_MS: number = 24 * 60 * 60 * 1000;

export class OutcomeStore {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** Records the end of a job, unless it has one: a job ends once. Resolves to whether this was the first. */
  async put(outcome: Outcome): Promise<boolean> {
    const reply = await this.#redis.set(
      this.#key(outcome.id),
      JSON.stringify(outcome),
      "PX",
      OUTCOME_TTL_MS,
      "NX",
    );
    return reply === "OK";
  }

  /**
   * How the job ended; `undefined` while it has not, or after the record expired.
   * Rejects when the stored record is not one of ours.
   */
  async get(id: string): Promise<Outcome | undefined> {
    const stored = await this.#redis.get(this.#key(id));
    return stored === null ? undefined : outcomeSchema.parse(JSON.parse(stored));
  }

  #key(id: string): string {
    return `${this.#keySpace}:outcome:${id}`;
  }
}
