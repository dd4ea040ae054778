/**
 * Finishes replays that a crash left half done, and gives up those that cannot be finished: no letter stays `replaying`
 * for ever. And settles what letters and outcomes disagree about after Redis has lost its last writes: a job whose death is in
 * a letter, and that Redis brought back and that was answered then. Runs in every worker without a leader: the store claims, resolves and releases by condition, and a job is
 * added under one id, so two reconcilers with the same letter do no harm.
 */
import { lifeOf, Rounds, type Clock, type Emit, type JobData, type Random } from "@sluice/job";
import { formerLife } from "./former-life.ts";
import { describe } from "./describe.ts";
import { LookBack, type Change, type LookedBackLetters } from "./look-back.ts";
import type { Outcomes } from "./ports.ts";
import { revived, type ClaimRefusal } from "./replay.ts";

/** A letter whose replay has been claimed. */
export interface Replaying {
  readonly id: string;
  /** The life that died last. */
  readonly jobId: string;
  readonly replays: number;
  readonly claim: {
    readonly jobId: string;
    /** When the replay was claimed first, milliseconds since the epoch. */
    readonly at: number;
    readonly leaseUntil: number;
  };
}

/** The store of dead letters, as far as the reconciler needs it. */
export interface ReconciledLetters extends LookedBackLetters {
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
  /** Gives up the claim of `jobId`: the letter is dead again, with the note as the reason. */
  release(id: string, command: { jobId: string; by: string; note: string }): Promise<{ outcome: string }>;
}

/** A lane, and how the jobs of its scope ended. */
export interface ReconciledLane {
  readonly pool: string;
  readonly lane: string;
  /** How long a replay may take at least, milliseconds. */
  readonly deadlineMs: number;
  readonly outcomes: Pick<Outcomes, "get">;
  readonly lineage: { mark(job: { readonly id: string; readonly deadlineAt: number }): Promise<void> };
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
  /** After how long a replay that its lane does not take is given up, milliseconds. Default 600,000. */
  readonly giveUpMs?: number;
}

const DEFAULTS = { everyMs: 15_000, leaseMs: 60_000, giveUpMs: 600_000 } as const;

/** What is told of an error in a letter's history, characters. */
const REASON_LENGTH = 300;

/** Who it says it is in a letter's history. */
const NAME = "reconciler";

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #resolving = new Set<Promise<void>>();
  readonly #lookBack: LookBack;
  readonly #rounds: Rounds;
  #stopped = false;

  readonly #onError = (error: unknown): void => {
    this.#options.emit("worker:error", { part: "reconciler", error: describe(error) });
  };

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#lookBack = new LookBack(options.letters);
    this.#rounds = new Rounds({
      work: async () => this.sweep(),
      everyMs: options.everyMs ?? DEFAULTS.everyMs,
      random: options.random,
      onError: this.#onError,
    });
  }

  start(): void {
    this.#rounds.startLater();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#rounds.stop();
    await Promise.all(this.#resolving);
  }

  /**
   * Another life of Redis, or another server, was found to answer for these pools: what was written last may be lost. The
   * next sweep compares the letters of that time with what became of their jobs.
   */
  redisChanged(pools: readonly string[], change: Change): void {
    this.#lookBack.expect(
      this.#options.lanes.filter(({ pool }) => pools.includes(pool)),
      change,
    );
  }

  /**
   * A job was answered, filtered or cancelled: resolves its letter if it was a replay, or ran again after its death. The
   * sweep finds what fails here.
   */
  ended(id: string): void {
    if (lifeOf(id).replay === 0 && !this.#lookBack.isRevived(id)) return;
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
        changed += await this.#lookBack.at(lane);
      } catch (error) {
        this.#onError(error);
      }
    }
    return changed + (await this.#lookBack.again().catch((error: unknown) => this.#none(error)));
  }

  /** A letter that cannot be decided about holds up no other; the first such error is told. */
  async #sweepLane(lane: ReconciledLane): Promise<number> {
    const { letters } = this.#options;
    let changed = 0;
    let cursor: string | undefined;
    const refusals: unknown[] = [];
    do {
      const page = await letters.replaying(lane, cursor);
      const results = await Promise.allSettled(
        page.items.map(async (letter) => this.#reconcile(lane, letter)),
      );
      changed += results.filter((result) => result.status === "fulfilled" && result.value).length;
      for (const result of results) if (result.status === "rejected") refusals.push(result.reason);
      ({ cursor } = page);
    } while (cursor !== undefined && !this.#stopped);
    if (refusals.length > 0) this.#onError(refusals[0]);
    return changed;
  }

  /** The outcome first: a replay that has ended and left Redis would otherwise run, and be paid, twice. */
  async #reconcile(lane: ReconciledLane, letter: Replaying): Promise<boolean> {
    const { clock } = this.#options;
    const { jobId, leaseUntil } = letter.claim;
    const outcome = await lane.outcomes.get(jobId);
    if (outcome?.outcome === "dead") {
      // The mover writes the letter before the outcome, so as a rule the letter has moved on since it was listed, and
      // this is refused. One that has not was claimed by a version that wrote the death elsewhere.
      const { errorClass, message } = outcome.failure;
      return leaseUntil <= clock() && this.#release(letter, `${jobId} died: ${errorClass}: ${message}`);
    }
    if (outcome !== undefined) return this.#resolve(jobId);
    if (leaseUntil > clock()) return false;
    const job = await lane.find(jobId);
    // A version that did not note its replays may have started this one.
    if (job !== undefined) await lane.lineage.mark({ id: jobId, deadlineAt: clock() + lane.deadlineMs });
    if (job?.state === "completed") return this.#resolve(jobId);
    if (job?.state === "unknown") return this.#lost(lane, letter);
    return job === undefined && this.#takeOver(lane, letter);
  }

  /**
   * The life that died is looked at first: a replay that was claimed while Redis was away would be paid and delivered
   * beside it, where Redis has come back with it.
   */
  async #takeOver(lane: ReconciledLane, letter: Replaying): Promise<boolean> {
    const former = await formerLife(lane, letter.jobId);
    if (former === "under-way") return false;
    if (former === "answered") {
      const note = `${letter.claim.jobId} is not needed: ${letter.jobId} was answered after all`;
      return (await this.#release(letter, note)) && this.#resolve(letter.jobId);
    }
    const { letters, clock, leaseMs = DEFAULTS.leaseMs, giveUpMs = DEFAULTS.giveUpMs } = this.#options;
    const { id, replays, claim } = letter;
    const taken = await letters.claim(id, { by: NAME, replays, leaseMs });
    if (taken.outcome === "refused") {
      return (
        taken.reason === "unreadable" && this.#release(letter, `${claim.jobId}: its data cannot be read`)
      );
    }
    const job = revived(taken.data, lane.deadlineMs, clock());
    try {
      await lane.lineage.mark(job);
      await lane.add(job);
    } catch (error) {
      // Redis has just answered two questions. What it does not take for so long it will not take tomorrow.
      if (clock() - claim.at < giveUpMs || (await lane.find(claim.jobId)) !== undefined) throw error;
      return this.#release(letter, `${claim.jobId} cannot be put into its lane: ${describe(error)}`);
    }
    return true;
  }

  /** Redis has the job's hash, and no list, set or outcome has the job: nothing will ever run it. */
  async #lost(lane: ReconciledLane, letter: Replaying): Promise<boolean> {
    const { jobId } = letter.claim;
    // It may have ended, and left Redis, while it was looked up.
    const again = await lane.find(jobId);
    if (again?.state !== "unknown") return false;
    return this.#release(letter, `${jobId} is in none of the lists of its lane`);
  }

  async #release({ id, claim }: Replaying, note: string): Promise<boolean> {
    const reason = note.slice(0, REASON_LENGTH);
    const { outcome } = await this.#options.letters.release(id, {
      jobId: claim.jobId,
      by: NAME,
      note: reason,
    });
    return outcome === "done";
  }

  #none(error: unknown): number {
    this.#onError(error);
    return 0;
  }

  async #resolve(jobId: string): Promise<boolean> {
    await this.#options.letters.resolve(jobId);
    return true;
  }
}
