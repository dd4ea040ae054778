/**
 * The end of a job in BullMQ, with fields of its hash that are set in the same step, at a time that is given. Its script
 * takes both for every end; its public methods take the machine's time, and pass fields on for failed jobs alone.
 */
import { RedisQueueBackend, type Job, type Worker } from "bullmq";

interface End {
  /** Whose lock the job has. */
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly fields: Readonly<Record<string, string>>;
}

export interface Completion extends End {
  /** How many completed jobs of the lane are kept, and for how many seconds. */
  readonly keep: { readonly age: number; readonly count: number };
  readonly reference: Readonly<Record<string, string | number>>;
}

export interface Death extends End {
  /** Kept with the job. */
  readonly reason: string;
}

/** @throws when Redis no longer holds our lock. */
export async function completeWith(
  worker: Worker<unknown>,
  job: Job<unknown>,
  { token, at, keep, reference, fields }: Completion,
): Promise<void> {
  const backend = backendOf(worker);
  const value = JSON.stringify(reference);
  const args = backend["moveToFinishedArgs"](
    job,
    value,
    "returnvalue",
    { ...keep },
    "completed",
    token,
    at,
    false,
    fields,
  );
  await backend.moveToFinished(job.id ?? "", args);
}

/** It stays in the failed set. @throws when Redis no longer holds our lock. */
export async function failWith(
  worker: Worker<unknown>,
  job: Job<unknown>,
  { token, at, reason, fields }: Death,
): Promise<void> {
  const backend = backendOf(worker);
  const args = backend["moveToFinishedArgs"](
    job,
    reason,
    "failedReason",
    false,
    "failed",
    token,
    at,
    false,
    fields,
  );
  await backend.moveToFinished(job.id ?? "", args);
}

function backendOf(worker: Worker<unknown>): RedisQueueBackend {
  const backend = worker.getBackend();
  if (!(backend instanceof RedisQueueBackend)) throw new TypeError("Expected a queue in Redis");
  return backend;
}
