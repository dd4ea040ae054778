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
    span: Span,
    cursor: string | undefined,
  ): Promise<{ readonly items: readonly { readonly jobId: string }[]; readonly cursor?: string }>;
}

/** A change of Redis. Milliseconds since the epoch. */
export interface Change {
  /** When it was found: after an outage, long after it took place. */
  readonly at: number;
  /** When what answered before was looked at last. */
  readonly seenAt: number;
}

/** Milliseconds since the epoch. */
interface Span {
  readonly from: number;
  readonly until: number;
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
  /** Lanes whose letters have yet to be looked at, and those of which times, which do not overlap. */
  readonly #due = new Map<ReconciledLane, readonly Span[]>();
  /** Jobs that run again although there is a letter of their death. */
  readonly #revived = new Map<string, ReconciledLane>();

  constructor(letters: LookedBackLetters) {
    this.#letters = letters;
  }

  /** Redis was found to be another. What is due of an earlier change stays due. */
  expect(lanes: readonly ReconciledLane[], { at, seenAt }: Change): void {
    const from = Math.max(0, Math.min(seenAt, at) - LOST_BEFORE_MS);
    const span = { from, until: at + LOST_AFTER_MS };
    for (const lane of lanes) this.#due.set(lane, withSpan(this.#due.get(lane) ?? [], span));
  }

  /** Whether the job runs again although there is a letter of its death. */
  isRevived(jobId: string): boolean {
    return this.#revived.has(jobId);
  }

  /** Looks at the letters of a lane, if that is due. Resolves to how many it resolved; what fails comes again. */
  async at(lane: ReconciledLane): Promise<number> {
    let resolved = 0;
    for (const span of this.#due.get(lane) ?? []) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other: there is no haste, and thousands may be read
      resolved += await this.#compare(lane, span);
      const left = (this.#due.get(lane) ?? []).filter((each) => each !== span);
      if (left.length > 0) this.#due.set(lane, left);
      else this.#due.delete(lane);
    }
    return resolved;
  }

  async #compare(lane: ReconciledLane, span: Span): Promise<number> {
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

/** The spans with one more: those that overlap it are one with it. */
function withSpan(spans: readonly Span[], span: Span): readonly Span[] {
  let merged = span;
  const apart: Span[] = [];
  for (const each of spans) {
    if (each.until < merged.from || merged.until < each.from) apart.push(each);
    else merged = { from: Math.min(each.from, merged.from), until: Math.max(each.until, merged.until) };
  }
  return [...apart, merged];
}
