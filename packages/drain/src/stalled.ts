/**
 * A job whose worker vanished under it. Its request is read with a call of its own open in the ledger: if reading it is
 * what kills workers, that is counted like a call that did.
 */
import type { JobData, JobRequest, Notes } from "@sluice/job";
import type { DrainOptions } from "./candidate.ts";
import type { JobEnds } from "./job-ends.ts";
import type { LeftCalls } from "./left-calls.ts";
import type { Held } from "./ports.ts";
import { MAX_LOST_CALLS, malformed, stalledTooOften } from "./reasons.ts";
import type { Runner } from "./run.ts";
import { LEASE_GRACE_MS, type Starter } from "./start.ts";

export class StalledJobs {
  readonly #options: DrainOptions;
  readonly #ends: JobEnds;
  readonly #runner: Runner;
  readonly #starter: Starter;
  readonly #left: LeftCalls;

  constructor(options: DrainOptions, ends: JobEnds, runner: Runner, starter: Starter, left: LeftCalls) {
    this.#options = options;
    this.#ends = ends;
    this.#runner = runner;
    this.#starter = starter;
    this.#left = left;
  }

  /**
   * Reads the request. Resolves to `undefined` when the job has been disposed of: somebody may still call for it, it may
   * not be read beside what runs here, or it is dead.
   */
  async read(
    job: Held,
    data: JobData,
    decode: () => Promise<JobRequest | undefined>,
    stopping: AbortSignal,
  ): Promise<JobRequest | undefined> {
    const { ledger } = this.#options;
    const { suspects } = this.#starter;
    const begun = await this.#starter.begin(job, data, LEASE_GRACE_MS, stopping);
    if (begun.type === "busy" || begun.type === "ended") {
      const delayMs = begun.type === "busy" ? begun.retryAfterMs : 0;
      return this.#ends.defer(job, data, "running-elsewhere", delayMs);
    }
    // Before anything puts the job off: later fetches do not know any more which one it was.
    const fetched = job.attemptsStarted - 1;
    const isUnnamed = begun.type === "go" && begun.unnamed;
    const left = { id: job.id, fetched, stalls: job.stalls };
    await (isUnnamed
      ? this.#left.settleGrants(left, begun.left, () => ({}))
      : this.#left.settleGrants(left, begun.left));
    if (begun.type === "cap") return this.#orDie(job, data, await decode());
    const { lost } = begun;
    const close = async (): Promise<unknown> =>
      this.#starter.ask(async () => ledger.abandon(job.id), "ledger", stopping);
    if (!suspects.tryEnter(job.id, lost)) {
      await close();
      return this.#starter.deferSuspect(job, data);
    }
    // A dead job is read once more, for those who wait for its answer; not again if that was its end, too.
    const work = lost <= MAX_LOST_CALLS + 1 ? await decode() : undefined;
    suspects.leave(job.id);
    await close();
    if (lost <= MAX_LOST_CALLS) return this.#orDie(job, data, work);
    const failure = stalledTooOften(lost);
    if (work === undefined) return this.#ends.die(job, data, failure);
    return this.#runner.die({ job, data, work, notes: await job.notes() }, failure);
  }

  async #orDie(job: Held, data: JobData, work: JobRequest | undefined): Promise<JobRequest | undefined> {
    return work ?? this.#ends.die(job, data, malformed());
  }
}

/** The notes of a job that comes to the gate. On record only if it has stalled, which is rare, and if Redis has room. */
export async function outlived(job: Held, notes: Notes): Promise<Notes> {
  if (notes.stallsOutlived === job.stalls) return notes;
  const kept = { ...notes, stallsOutlived: job.stalls };
  await job.keepNotes(kept).catch(() => undefined);
  return kept;
}
