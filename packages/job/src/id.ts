/**
 * Job ids: `<pool>.<lane>.<ulid>`, and `<id>.r<n>` for the n-th replay. The same string is the id in the API,
 * in BullMQ, in the results and in the dead letter store, so any part finds the Redis slot from the id alone.
 */
import { decodeTime, ulid } from "ulid";
import type { Random } from "./time.ts";
import { nameSchema } from "./names.ts";

/** What an id says about its job. */
export interface JobIdParts {
  readonly pool: string;
  readonly lane: string;
  /** 26 characters of Crockford base 32, lower case: time of acceptance, then randomness. */
  readonly ulid: string;
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** 0 for the first life of a job, n for its n-th replay. */
  readonly replay: number;
}

const ID = /^([a-z0-9-]+)\.([a-z0-9-]+)\.([0-7][0-9a-hjkmnp-tv-z]{25})(?:\.r([1-9][0-9]{0,8}))?$/;

/** From the system's cryptographic source: whoever has ids of his own can guess no other. In [0, 1). */
const secureRandom: Random = () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32;

/**
 * Issues the id of a new job. Ids of one lane sort by time of acceptance; the rest of an id is 80 random bits.
 * @param random for tests only.
 */
export function newJobId(pool: string, lane: string, now: number, random: Random = secureRandom): string {
  return `${pool}.${lane}.${ulid(now, random).toLowerCase()}`;
}

/** Takes an id apart; `undefined` when it is not one of ours. */
export function parseJobId(id: string): JobIdParts | undefined {
  const match = ID.exec(id);
  if (match === null) return undefined;
  const [, pool = "", lane = "", unique = "", replay] = match;
  if (!nameSchema.safeParse(pool).success || !nameSchema.safeParse(lane).success) return undefined;
  return {
    pool,
    lane,
    ulid: unique,
    acceptedAt: decodeTime(unique.toUpperCase()),
    replay: replay === undefined ? 0 : Number(replay),
  };
}

const LIFE = /^(.+)\.r([1-9][0-9]{0,8})$/;

/** Which life of which logical job an id names: 0 is the first, n its n-th replay. Also of an id that is not ours. */
export function lifeOf(jobId: string): { readonly id: string; readonly replay: number } {
  const [, id = jobId, replay = "0"] = LIFE.exec(jobId) ?? [];
  return { id, replay: Number(replay) };
}

/** The id under which the n-th replay of a job runs; its own for 0. `id` may itself be a replay's. */
export function replayId(id: string, replay: number): string {
  const { id: root } = lifeOf(id);
  return replay === 0 ? root : `${root}.r${replay}`;
}
