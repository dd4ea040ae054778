/** A job whose request was answered before, or is being answered for another job. */
import type { Candidate, DrainOptions } from "./candidate.ts";
import { refsOf, type JobEnds } from "./job-ends.ts";
import { pollDelayMs } from "./poll.ts";
import type { Runner } from "./run.ts";
import type { Starter } from "./start.ts";

/** Answers from the cache, or waits for the job that is being answered the same. False: make the call. */
export async function tryCache(
  { job, data, work }: Omit<Candidate, "notes">,
  { cache, emit, clock }: Pick<DrainOptions, "cache" | "emit" | "clock">,
  { starter, ends, runner }: { readonly starter: Starter; readonly ends: JobEnds; readonly runner: Runner },
  stopping: AbortSignal,
): Promise<boolean> {
  if (data.cacheMs === undefined) return false;
  const { id, tenant, pool, cacheMs: ttlMs } = data;
  // As long as the leader lives: whatever ends it gives the lead away.
  const leadMs = data.deadlineAt - clock();
  const question = { id, tenant, pool, work, ttlMs };
  const lead = await starter.ask(() => cache.lead(question, leadMs), "cache", stopping);
  if (lead.type === "leader") return false;
  if (lead.type === "follow") {
    // Nobody wakes it when the answer is there: it looks again, ever less often.
    const delayMs = Math.min(lead.retryAfterMs, pollDelayMs(job.attemptsStarted - 1, 0));
    await ends.defer(job, data, "shared", delayMs);
  } else {
    emit("job:cache-hit", refsOf(data));
    await runner.finish(job, data, "completed", { ...lead.answer, cached: true });
  }
  return true;
}
