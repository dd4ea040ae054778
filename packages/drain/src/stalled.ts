/**
 * A job whose worker vanished under it. Its request is read with a call of its own open in the ledger: if reading it is
 * what kills workers, that is counted like a call that did. And what the vanished worker had reserved for it is settled.
 */
import type { JobData, JobRequest, Outcome } from "@sluice/job";
import type { DrainOptions } from "./candidate.ts";
import { reservationId } from "./chain.ts";
import type { Hands } from "./hands.ts";
import { describe } from "./insist.ts";
import type { Cost, Entry, Held } from "./ports.ts";
import { MAX_LOST_CALLS, malformed, stalledTooOften } from "./reasons.ts";
import type { Runner } from "./run.ts";
import { NOTHING } from "./settlement.ts";
import type { Starter } from "./start.ts";

/**
 * Fetches before this one whose reservations may be left. One is, of the fetch before the stall; the job may have been
 * put off since, until the vanished worker was known to be dead.
 */
const FETCHES_BACK = 5;

export class StalledJobs {
  readonly #options: DrainOptions;
  readonly #hands: Hands;
  readonly #runner: Runner;
  readonly #starter: Starter;

  constructor(options: DrainOptions, hands: Hands, runner: Runner, starter: Starter) {
    this.#options = options;
    this.#hands = hands;
    this.#runner = runner;
    this.#starter = starter;
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
    const begun = await this.#starter.begin(job, data, { budgetMs: 0, stopping });
    if (begun.type === "busy" || begun.type === "ended") {
      const delayMs = begun.type === "busy" ? begun.retryAfterMs : 0;
      return this.#hands.defer(job, data, "running-elsewhere", delayMs);
    }
    if (begun.type === "cap") return this.#orDie(job, data, await decode());
    const { lost, justLost } = begun;
    const close = async (): Promise<unknown> =>
      this.#starter.ask(async () => ledger.abandon(job.id), "ledger", stopping);
    if (!suspects.tryEnter(job.id, lost)) {
      await close();
      return this.#starter.deferSuspect(job, data);
    }
    // A dead job is read once more, for those who wait for its answer; not again if that was its end, too.
    const work = lost <= MAX_LOST_CALLS + 1 ? await decode() : undefined;
    suspects.leave(job.id);
    const cut = (entry: Entry): Cost => (work === undefined ? {} : entry.model.unfinished(work, undefined));
    await Promise.all([close(), this.#settle(job, justLost ? cut : () => NOTHING)]);
    if (lost <= MAX_LOST_CALLS) return this.#orDie(job, data, work);
    const failure = stalledTooOften(lost);
    if (work === undefined) return this.#hands.die(job, data, failure);
    return this.#runner.die({ job, data, work, notes: await job.notes() }, failure);
  }

  /** Settles what is left of a job that had been answered when its worker vanished. */
  async settleEnded(job: Held, ended: Outcome): Promise<void> {
    const answer = "answer" in ended ? ended.answer : undefined;
    await this.#settle(job, ({ model }) => (answer === undefined ? NOTHING : model.settled(answer.usage)));
  }

  async #orDie(job: Held, data: JobData, work: JobRequest | undefined): Promise<JobRequest | undefined> {
    return work ?? this.#hands.die(job, data, malformed());
  }

  /** Every name that a reservation may have is tried: the gate knows which is held. Losing one costs its rest for a while. */
  async #settle({ id, attemptsStarted }: Held, actualOf: (entry: Entry) => Cost): Promise<void> {
    const { chain, emit } = this.#options;
    const settling: Promise<unknown>[] = [];
    for (let fetched = Math.max(1, attemptsStarted - FETCHES_BACK); fetched < attemptsStarted; fetched += 1) {
      for (const entry of chain) {
        const { pool, gate } = entry;
        const reservation = reservationId(id, fetched, pool);
        settling.push(
          gate
            .settle({ pool, id: reservation, outcome: "neutral", actual: actualOf(entry) })
            .catch((error: unknown) => emit("worker:error", { part: "gate", error: describe(error) })),
        );
      }
    }
    await Promise.all(settling);
  }
}
