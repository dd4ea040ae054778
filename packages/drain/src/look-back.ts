/**
 * What letters and outcomes disagree about after Redis has lost its last writes: a job whose death is in a letter, and that
 * Redis brought back. It runs again, and if it is answered its letter is resolved; else a replay would be paid and delivered
 * a second time.
 */
import type { ReconciledLane } from "./reconcile.ts";

export interface LookedBackLetters {
  /** The job `jobId` was answered after all. */
  resolve(jobId: string): Promise<unknown>;
  /** A page of the dead letters of a lane whose jobs died in this span of time, milliseconds since the epoch. */
  dead(
    lane: { pool: string; lane: string },
    span: { readonly from: number; readonly until: number },
    cursor: string | undefined,
  ): Promise<{ readonly items: readonly { readonly jobId: string }[]; readonly cursor?: string }>;
}

/**
 * Deaths so long before a change of Redis are looked at: a fail-over loses what had not reached the replica, which may
 * lag. And so long after it, for clocks that differ. Milliseconds.
 */
const LOST_BEFORE_MS = 15 * 60_000;
const LOST_AFTER_MS = 60_000;

/** Jobs that run again are kept in mind, so many of them; what is beyond is found out when it is replayed. */
const MOST_REVIVED = 10_000;

/** Where a job is that may still be answered. */
const UNDER_WAY: ReadonlySet<string> = new Set(["waiting", "delayed", "active"]);

export class LookBack {
  readonly #letters: LookedBackLetters;
  /** Lanes whose letters have yet to be looked at, with when Redis was found to be another. */
  readonly #due = new Map<ReconciledLane, number>();
  /** Jobs that run again although there is a letter of their death. */
  readonly #revived = new Map<string, ReconciledLane>();

  constructor(letters: LookedBackLetters) {
    this.#letters = letters;
  }

  /** Redis was found to be another at `changedAt`, milliseconds since the epoch. */
  expect(lanes: readonly ReconciledLane[], changedAt: number): void {
    for (const lane of lanes) this.#due.set(lane, changedAt);
  }

  /** Whether the job runs again although there is a letter of its death. */
  isRevived(jobId: string): boolean {
    return this.#revived.has(jobId);
  }

  /** Looks at the letters of a lane, if that is due. Resolves to how many it resolved; what fails comes again. */
  async at(lane: ReconciledLane): Promise<number> {
    const changedAt = this.#due.get(lane);
    if (changedAt === undefined) return 0;
    const span = { from: Math.max(0, changedAt - LOST_BEFORE_MS), until: changedAt + LOST_AFTER_MS };
    let resolved = 0;
    let cursor: string | undefined;
    do {
      const page = await this.#letters.dead(lane, span, cursor);
      const settled = await Promise.all(page.items.map(async ({ jobId }) => this.#settle(lane, jobId)));
      resolved += settled.filter((each) => each === "answered").length;
      ({ cursor } = page);
    } while (cursor !== undefined);
    if (this.#due.get(lane) === changedAt) this.#due.delete(lane);
    return resolved;
  }

  /** Looks at the jobs that ran again when they were looked at last. Resolves to how many letters it resolved. */
  async again(): Promise<number> {
    let resolved = 0;
    for (const [jobId, lane] of this.#revived) {
      if ((await this.#settle(lane, jobId)) === "answered") resolved += 1;
    }
    return resolved;
  }

  async #settle(lane: ReconciledLane, jobId: string): Promise<"answered" | "dead" | "under-way"> {
    const state = await stateOf(lane, jobId);
    if (state === "answered") await this.#letters.resolve(jobId);
    if (state !== "under-way") this.#revived.delete(jobId);
    else if (this.#revived.size < MOST_REVIVED) this.#revived.set(jobId, lane);
    return state;
  }
}

async function stateOf(lane: ReconciledLane, jobId: string): Promise<"answered" | "dead" | "under-way"> {
  const outcome = await lane.outcomes.get(jobId);
  if (outcome !== undefined) return outcome.outcome === "dead" ? "dead" : "answered";
  const job = await lane.find(jobId);
  if (job?.state === "completed") return "answered";
  return job !== undefined && UNDER_WAY.has(job.state) ? "under-way" : "dead";
}
