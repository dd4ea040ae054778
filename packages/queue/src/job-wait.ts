/** What a job waits for beyond its turn, as its hash, its lock and the delayed set tell it. Changes nothing. */
import {
  NewerVersionError,
  notesOf,
  parseJson,
  readFailure,
  readNotes,
  type Failure,
  type Notes,
} from "@sluice/job";
import type { Redis } from "ioredis";
import { FAILURE_FIELD, NOTES_FIELD, type LaneKeys } from "./keys.ts";
import { unlessWrongType } from "./wrong-type.ts";

export interface JobWait {
  /** Redis's clock, milliseconds since the epoch. */
  readonly now: number;
  /** When it leaves the delayed set; `undefined` for a job that is not in it. Milliseconds since the epoch. */
  readonly dueAt: number | undefined;
  /** Times it was fetched. */
  readonly fetched: number;
  /** Somebody has it in hand, and renews the lock. */
  readonly locked: boolean;
  /** What its tries so far have left. */
  readonly notes: Notes;
  /** In a sentence, when a newer version left the notes: a worker of this one hands the job back. */
  readonly newer: string | undefined;
  /** Of a job in the failed set: what it died of, when Sluice has ended it, and this version can read it. */
  readonly failure: Failure | undefined;
}

/** BullMQ keeps the time in the upper bits of a score, and the order of equal times in the lower twelve. */
const SCORE_PER_MS = 0x1000;

export async function readJobWait(redis: Redis, keys: LaneKeys, id: string): Promise<JobWait> {
  const hash = keys.jobPrefix + id;
  const [[seconds, micros], [fetched, notes, failure], score, locks] = await Promise.all([
    redis.time(),
    unlessWrongType(redis.hmget(hash, "ats", NOTES_FIELD, FAILURE_FIELD), []),
    redis.zscore(keys.delayed, id),
    redis.exists(`${hash}:lock`),
  ]);
  const died = readFailure(parseJson(failure ?? ""));
  return {
    now: Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000),
    dueAt: score === null ? undefined : Math.floor(Number(score) / SCORE_PER_MS),
    fetched: Number(fetched) || 0,
    locked: locks === 1,
    notes: readNotes(notes),
    newer: newerNotes(notes),
    failure: died instanceof NewerVersionError ? undefined : died,
  };
}

function newerNotes(stored: string | null | undefined): string | undefined {
  try {
    notesOf(stored);
    return undefined;
  } catch (error) {
    if (error instanceof NewerVersionError) return error.message;
    throw error;
  }
}
