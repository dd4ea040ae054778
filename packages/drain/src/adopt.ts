/**
 * Makes a dead letter's content of whatever lies in a failed set. A lane may hold jobs that Sluice did not put there: any
 * BullMQ client can. Their ids are unique within their queue at most, and their data is anything, so each gets an id of
 * ours and a record around what it held: from then on it is a letter like all others, which can be edited, replayed,
 * parked and deleted.
 */
import { createHash } from "node:crypto";
import {
  JOB_DATA_VERSION,
  lifeOf,
  newJobId,
  parseJobId,
  readJobData,
  type Failure,
  type JobData,
  type NewerVersionError,
} from "@sluice/job";

/** A job of a failed set, as it was found. */
export interface FoundDead {
  readonly id: string;
  readonly data: unknown;
  /** Of a newer version, the error that says so. */
  readonly failure: Failure | NewerVersionError;
  readonly attempts: number;
  readonly stalls: number;
  /** Times it was fetched. Default 0. */
  readonly fetched?: number;
  readonly diedAt: number;
}

/** One whose failure this version can read. */
export type ReadDead = Omit<FoundDead, "failure"> & { readonly failure: Failure };

/** Longest foreign id that is told, and longest message of a failure, characters. */
const TOLD_ID_LENGTH = 64;
const MESSAGE_LENGTH = 500;

/** A death that every store takes. The same job, found again after a crash, is the same death of the same record. */
export function adopted(
  { pool, lane, queue }: { readonly pool: string; readonly lane: string; readonly queue: string },
  job: ReadDead,
): Omit<ReadDead, "id" | "data" | "fetched"> & { readonly data: JobData } {
  const { failure } = job;
  const diedAt = whole(job.diedAt);
  const counts = { attempts: whole(job.attempts), stalls: whole(job.stalls), diedAt };
  const read = readJobData(job.data);
  const isOurs = parseJobId(job.id) !== undefined;
  // A replay belongs to its letter, also to one that was stored under a foreign id before there was this file.
  if (read.type === "known" && read.data.id === job.id && (isOurs || lifeOf(job.id).replay > 0)) {
    return { ...counts, failure, data: read.data };
  }
  const id = isOurs ? job.id : newJobId(pool, lane, diedAt, seededBy(`${queue} ${job.id}`));
  const message = `Job '${job.id.slice(0, TOLD_ID_LENGTH)}': ${failure.message}`.slice(0, MESSAGE_LENGTH);
  return {
    ...counts,
    failure: isOurs ? failure : { ...failure, message },
    data:
      read.type === "known" ? { ...read.data, id, pool, lane } : around(job.data, { id, pool, lane, diedAt }),
  };
}

/** A record around data that nobody can read, so that it is kept and can be looked at. */
function around(
  data: unknown,
  { diedAt, ...names }: { id: string; pool: string; lane: string; diedAt: number },
): JobData {
  return {
    version: JOB_DATA_VERSION,
    ...names,
    tenant: "unknown",
    kind: "converse",
    payload: { encoding: "json", json: JSON.stringify(data ?? null) },
    acceptedAt: diedAt,
    deadlineAt: diedAt,
    maxAttempts: 1,
  };
}

/** A score or a counter that something else wrote may be no whole number. */
function whole(value: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0;
}

/** Chance that is the same for the same text. */
function seededBy(text: string): () => number {
  const bytes = createHash("sha256").update(text).digest();
  let next = 0;
  return () => (bytes[next++ % bytes.length] ?? 0) / 256;
}
