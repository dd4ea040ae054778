/**
 * What letters and outcomes disagree about after Redis has lost its last writes: a job whose death is in a letter, and that
 * Redis brought back. It runs again, and if it is answered its letter is resolved; else a replay would be paid and delivered
 * a second time.
 */
import { formerLife, type FormerLife } from "./former-life.ts";
import type { ReconciledLane } from "./reconcile.ts";

export interface LookedBackLetters {
  /** The job `jobId` was answered after all. */
  resolve(jobId: string): Promise<unknown>;
  /** A page of the letters of a lane in this state whose jobs died in this span of time, milliseconds since the epoch. */
  died(
    lane: { pool: string; lane: string },
    state: (typeof STATES)[number],
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

/** Letters of jobs that have a death and no answer. A replay may have been claimed while Redis was away. */
const STATES = ["dead", "parked", "replaying"] as const;

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
    for (const state of STATES) {
      let cursor: string | undefined;
      do {
        const page = await this.#letters.died(lane, state, span, cursor);
        const settled = await Promise.all(page.items.map(async ({ jobId }) => this.#settle(lane, jobId)));
        resolved += settled.filter((each) => each === "answered").length;
        ({ cursor } = page);
      } while (cursor !== undefined);
    }
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

  /** The letter of a claimed replay resolves by itself no sooner than its claim is given up, which the reconciler does. */
  async #settle(lane: ReconciledLane, jobId: string): Promise<FormerLife> {
    const state = await formerLife(lane, jobId);
    if (state === "answered") await this.#letters.resolve(jobId);
    if (state !== "under-way") this.#revived.delete(jobId);
    else if (this.#revived.size < MOST_REVIVED) this.#revived.set(jobId, lane);
    return state;
  }
}
