/**
 * Which life of a job is its latest: a dead job that is replayed goes on as `<id>.r<n>`, and whoever asks for `<id>`
 * wants the answer of that. Written by whoever puts a replay into its lane, before the replay can be found there. The
 * dead letter holds the same number for as long as the letter is kept; this spares readers that question.
 */
import { assertKnownVersion, lifeOf, NewerVersionError } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { lineageKey } from "./keys.ts";
import { OUTCOME_TTL_MS } from "./outcomes.ts";
import { VERSIONS } from "./stored.ts";

/** The sweeper, the mover and a clock that is set: an end may be stored so much after the deadline, milliseconds. */
const LATE_END_MS = 60 * 60 * 1000;

const RECORD = "lineage";

const replaySchema = z.coerce.number().int().positive().nullable();

const mark: Script<{ key: string; replay: number; until: number }, number> = defineScript(
  new URL("../lua/lineage-mark.lua", import.meta.url),
  ({ key, replay, until }) => ({ keys: [key], argv: [replay, until, VERSIONS[RECORD]] }),
  (reply) => {
    const latest = Number(reply);
    if (latest < 0) throw new NewerVersionError(RECORD, -latest, VERSIONS[RECORD]);
    return latest;
  },
);

export class Lineage {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /**
   * The replay `id` is about to enter its lane. Safe to repeat, also after a later replay. Kept for as long as the
   * outcome of a replay that ends at its deadline can be read.
   * @param deadlineAt the replay's own, milliseconds since the epoch.
   */
  async mark({ id: jobId, deadlineAt }: { id: string; deadlineAt: number }): Promise<void> {
    const { id, replay } = lifeOf(jobId);
    if (replay === 0) return;
    const until = deadlineAt + OUTCOME_TTL_MS + LATE_END_MS;
    await mark.run(this.#redis, { key: lineageKey(this.#keySpace, id), replay, until });
  }

  /** The number of the job's latest replay; `undefined` when none is known here. `id` may be a replay's. */
  async latest(id: string): Promise<number | undefined> {
    const key = lineageKey(this.#keySpace, lifeOf(id).id);
    const [stored = null, version] = await this.#redis.hmget(key, "replay", "version");
    assertKnownVersion(RECORD, { version: Number(version ?? 1) }, VERSIONS[RECORD]);
    return replaySchema.parse(stored) ?? undefined;
  }
}
