/**
 * The end of a job in BullMQ, with fields of its hash that are set in the same step. Its script takes such fields for
 * every end, and its public method passes them on for failed jobs alone.
 */
import { RedisQueueBackend, type Job, type Worker } from "bullmq";

export interface Completion {
  /** Whose lock the job has. */
  readonly token: string;
  /** How many completed jobs of the lane are kept, and for how many seconds. */
  readonly keep: { readonly age: number; readonly count: number };
  readonly reference: Readonly<Record<string, string | number>>;
  readonly fields: Readonly<Record<string, string>>;
}

/** @throws when Redis no longer holds our lock. */
export async function completeWith(
  worker: Worker<unknown>,
  job: Job<unknown>,
  { token, keep, reference, fields }: Completion,
): Promise<void> {
  const backend = worker.getBackend();
  if (!(backend instanceof RedisQueueBackend)) throw new TypeError("Expected a queue in Redis");
  const args = backend["moveToFinishedArgs"](
    job,
    JSON.stringify(reference),
    "returnvalue",
    { ...keep },
    "completed",
    token,
    Date.now(),
    false,
    fields,
  );
  await backend.moveToFinished(job.id ?? "", args);
}
