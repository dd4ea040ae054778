/** The ways in which a job ends here, each with its event: every path of the drain comes to one of these. */
import type { AnsweredOutcome, DeferReason, Emit, Failure, JobData, Outcome } from "@sluice/job";
import type { Held } from "./ports.ts";

export class JobEnds {
  readonly #emit: Emit;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** The outcome is stored: tells the queue, and everybody else. */
  async end(job: Held, data: JobData, outcome: Exclude<Outcome, { outcome: "dead" }>): Promise<undefined> {
    await job.complete(reference(outcome));
    if (outcome.outcome === "cancelled") {
      this.#emit("job:cancelled", refsOf(data));
      return;
    }
    const { usage, latencyMs, model, stopReason } = outcome.answer;
    if (outcome.outcome === "filtered") {
      this.#emit("job:filtered", { ...refsOf(data), usage, stopReason, model });
    } else {
      const waitedMs = outcome.endedAt - data.acceptedAt - latencyMs;
      this.#emit("job:completed", { ...refsOf(data), waitedMs, latencyMs, usage, model });
    }
  }

  /** The job came back although it has ended: its last run died, or lost its lock, after the outcome was stored. */
  async recover(job: Held, data: JobData, outcome: Outcome): Promise<undefined> {
    if (outcome.outcome === "dead") await job.fail(outcome.failure);
    else await job.complete(reference(outcome));
    this.#emit("job:recovered", refsOf(data));
  }

  /** Back to where it came from, at no cost to the job. */
  async defer(job: Held, data: JobData, reason: DeferReason, delayMs: number): Promise<undefined> {
    await job.defer({ delayMs, attempt: false });
    this.#emit("job:deferred", { ...refsOf(data), reason, delayMs });
  }

  /** Into the failed set, from where the mover takes it. */
  async die(job: Held, data: JobData, failure: Failure): Promise<undefined> {
    await job.fail(failure);
    this.#emit("job:dead", { ...refsOf(data), failure, attempts: job.attemptsMade + 1 });
  }
}

/** What every end of a job says. */
export function ending(
  job: Held,
  { id, tenant, acceptedAt }: JobData,
  endedAt: number,
): Pick<Outcome, "id" | "tenant" | "acceptedAt" | "endedAt" | "attempts"> {
  return { id, tenant, acceptedAt, endedAt, attempts: job.attemptsMade + 1 };
}

/** The references an event carries. */
export function refsOf({
  id,
  tenant,
  pool,
  lane,
}: JobData): Pick<JobData, "id" | "tenant" | "pool" | "lane"> {
  return { id, tenant, pool, lane };
}

/** What BullMQ keeps of an end: small, and free of text. */
function reference(
  outcome: AnsweredOutcome | Extract<Outcome, { outcome: "cancelled" }>,
): Record<string, string | number> {
  if (outcome.outcome === "cancelled") return { outcome: outcome.outcome };
  const { model, usage } = outcome.answer;
  const { inputTokens, outputTokens } = usage;
  return { outcome: outcome.outcome, model, inputTokens, outputTokens };
}
