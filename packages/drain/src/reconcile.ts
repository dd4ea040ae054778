/**
 * Finishes replays that a crash left half done. Runs in every worker without a leader: the store claims and resolves by
 * condition, and a job is added under one id, so two reconcilers with the same letter do no harm.
 */
import { parseJobId, type Clock, type Emit, type JobData, type Random } from "@sluice/job";
import { describe } from "./insist.ts";
import type { Outcomes } from "./ports.ts";
import { revived, type ClaimRefusal } from "./replay.ts";

/** A letter whose replay has been claimed. */
export interface Replaying {
  readonly id: string;
  readonly replays: number;
  readonly claim: { readonly jobId: string; readonly leaseUntil: number };
}

/** The store of dead letters, as far as the reconciler needs it. */
export interface ReconciledLetters {
  /** A page of the letters of a lane whose replay has been claimed, newest death first. */
  replaying(
    lane: { pool: string; lane: string },
    cursor: string | undefined,
  ): Promise<{ readonly items: readonly Replaying[]; readonly cursor?: string }>;
  claim(
    id: string,
    command: { by: string; replays: number; leaseMs: number },
  ): Promise<
    | { readonly outcome: "claimed"; readonly data: JobData }
    | { readonly outcome: "refused"; readonly reason: ClaimRefusal }
  >;
  resolve(jobId: string): Promise<unknown>;
}

/** A lane, and how the jobs of its scope ended. */
export interface ReconciledLane {
  readonly pool: string;
  readonly lane: string;
  /** How long a replay may take at least, milliseconds. */
  readonly deadlineMs: number;
  readonly outcomes: Pick<Outcomes, "get">;
  find(id: string): Promise<{ readonly state: string } | undefined>;
  add(job: JobData): Promise<void>;
}

export interface ReconcilerOptions {
  readonly lanes: readonly ReconciledLane[];
  readonly letters: ReconciledLetters;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds between sweeps. Default 15,000. */
  readonly everyMs?: number;
  /** How long a claim that is taken over may take to reach its lane, milliseconds. Default 60,000. */
  readonly leaseMs?: number;
}

const DEFAULTS = { everyMs: 15_000, leaseMs: 60_000 } as const;

/** Who it says it is in a letter's history. */
const NAME = "reconciler";

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #resolving = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #sweep: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sweep;
    await Promise.all(this.#resolving);
  }

  /** A job was answered, filtered or cancelled: resolves its letter if it was a replay. The sweep finds what fails here. */
  ended(id: string): void {
    const parts = parseJobId(id);
    if (parts === undefined || parts.replay === 0) return;
    const resolving = this.#options.letters
      .resolve(id)
      .then(() => undefined, this.#onError)
      .finally(() => this.#resolving.delete(resolving));
    this.#resolving.add(resolving);
  }

  /** Looks at every replay once. Resolves to how many letters it changed; a store that fails is told, not thrown. */
  async sweep(): Promise<number> {
    let changed = 0;
    for (const lane of this.#options.lanes) {
      if (this.#stopped) break;
      try {
        changed += await this.#sweepLane(lane);
      } catch (error) {
        this.#onError(error);
      }
    }
    return changed;
  }

  async #sweepLane(lane: ReconciledLane): Promise<number> {
    const { letters } = this.#options;
    let changed = 0;
    let cursor: string | undefined;
    do {
      const page = await letters.replaying(lane, cursor);
      for (const letter of page.items) changed += (await this.#reconcile(lane, letter)) ? 1 : 0;
      ({ cursor } = page);
    } while (cursor !== undefined && !this.#stopped);
    return changed;
  }

  /** The outcome first: a replay that has ended and left Redis would otherwise run, and be paid, twice. */
  async #reconcile(lane: ReconciledLane, { id, replays, claim }: Replaying): Promise<boolean> {
    const { letters, clock, leaseMs = DEFAULTS.leaseMs } = this.#options;
    const { jobId } = claim;
    const outcome = await lane.outcomes.get(jobId);
    // A dead one has been put by the mover before its outcome was: this reading of the letter is merely older.
    if (outcome?.outcome === "dead") return false;
    if (outcome !== undefined) return this.#resolve(jobId);
    if (claim.leaseUntil > clock()) return false;
    const job = await lane.find(jobId);
    if (job?.state === "completed") return this.#resolve(jobId);
    if (job !== undefined) return false;
    const taken = await letters.claim(id, { by: NAME, replays, leaseMs });
    if (taken.outcome === "refused") return false;
    await lane.add(revived(taken.data, lane.deadlineMs, clock()));
    return true;
  }

  async #resolve(jobId: string): Promise<boolean> {
    await this.#options.letters.resolve(jobId);
    return true;
  }

  #schedule(): void {
    if (this.#stopped) return;
    const { everyMs = DEFAULTS.everyMs, random } = this.#options;
    this.#timer = setTimeout(
      () => {
        this.#sweep = this.sweep().finally(() => this.#schedule());
      },
      everyMs * (0.75 + random() / 2),
    );
  }

  readonly #onError = (error: unknown): void => {
    this.#options.emit("worker:error", { part: "reconciler", error: describe(error) });
  };
}
