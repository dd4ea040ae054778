/**
 * Moves dead jobs from the failed sets to the dead letter store. Runs in every worker without a leader: storing is
 * idempotent per death and dropping is conditional, so two movers with the same job do no harm.
 */
import {
  JOB_DATA,
  JOB_DATA_VERSION,
  NewerVersionError,
  readJobData,
  Rounds,
  type Clock,
  type Emit,
  type Failure,
  type JobData,
  type Random,
} from "@sluice/job";
import { adopted, type FoundDead, type ReadDead } from "./adopt.ts";
import { describe } from "./describe.ts";
import type { LeftCalls } from "./left-calls.ts";
import type { NewerRecord } from "./newer.ts";
import type { Cancels, Outcomes } from "./ports.ts";

/** A dead job in the outbox. */
export type Dead = FoundDead;

/** The failed set of one lane. */
export interface Outbox {
  readonly pool: string;
  /** The lane of letters that are made of its foreign jobs. */
  readonly lane: string;
  /** Names the set: ids of foreign jobs are unique within it only. */
  readonly queue: string;
  readonly outcomes: Outcomes;
  readonly cancels: Cancels;
  /** What calls of its jobs hold whose worker vanished. */
  readonly left: Pick<LeftCalls, "settleAll">;
  size(): Promise<number>;
  /** Oldest first, without the first `skip`. */
  oldest(limit: number, skip: number): Promise<readonly Dead[]>;
  drop(job: Dead): Promise<boolean>;
}

/** Where dead letters are kept. Storing the same death again must be harmless. */
export interface DeadLetters {
  put(death: {
    data: JobData;
    failure: Failure;
    attempts: number;
    stalls: number;
    diedAt: number;
  }): Promise<unknown>;
}

export interface MoverOptions {
  /** Asked anew with every sweep. */
  readonly outboxes: Iterable<Outbox>;
  readonly deadLetters: DeadLetters;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds between sweeps; a nudge sweeps at once. Default 5,000. */
  readonly everyMs?: number;
}

const BATCH = 50;

export class Mover {
  readonly #options: MoverOptions;
  readonly #rounds: Rounds;
  /** Kinds of records and versions that were told of. */
  readonly #newer = new Set<string>();

  constructor(options: MoverOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      work: async () => this.sweep(),
      everyMs: options.everyMs ?? 5_000,
      random: options.random,
      onError: (error) => options.emit("worker:error", { part: "mover", error: describe(error) }),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  /** A job has just died: sweep now, or once more after the sweep under way. */
  nudge(): void {
    this.#rounds.nudge();
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
  }

  /** Moves everything that is dead by now. Resolves to how many were moved; a store that fails is told, not thrown. */
  async sweep(): Promise<number> {
    let moved = 0;
    for (const outbox of this.#options.outboxes) {
      try {
        moved += await this.#empty(outbox);
      } catch (error) {
        const waiting = await outbox.size().catch(() => 0);
        this.#options.emit("dead-letter:blocked", { waiting, error: describe(error) });
      }
    }
    return moved;
  }

  /**
   * A job that the store refuses is passed over, so that it cannot hold up those behind it; it comes again. So is one
   * whose data or failure a newer version of Sluice wrote: a letter made of it here would lose what is new.
   * @throws the first refusal, after everything else was moved.
   */
  async #empty(outbox: Outbox): Promise<number> {
    let moved = 0;
    let skip = 0;
    const refusals: unknown[] = [];
    for (;;) {
      const batch = await outbox.oldest(BATCH, skip);
      const ours = batch.filter((job): job is ReadDead => !this.#isNewer(outbox, job));
      const results = await Promise.allSettled(ours.map(async (job) => this.#move(outbox, job)));
      const dropped = results.filter((result) => result.status === "fulfilled" && result.value).length;
      for (const result of results) if (result.status === "rejected") refusals.push(result.reason);
      moved += dropped;
      skip += batch.length - dropped;
      // Nothing of a whole batch went through: the store does not answer, or another mover is at it.
      if ((dropped === 0 && ours.length > 0) || batch.length < BATCH) break;
    }
    if (refusals.length > 0) throw refusals[0];
    return moved;
  }

  /** Says so once per kind of record and version. */
  #isNewer({ pool }: Outbox, job: Dead): boolean {
    const newer = newerOf(job);
    if (newer === undefined) return false;
    const { what, version, known } = newer;
    const key = `${what} ${version}`;
    if (!this.#newer.has(key)) {
      this.#newer.add(key);
      this.#options.emit("version:newer", { id: job.id, pool, what, version, known });
    }
    return true;
  }

  /** Store, leave a tombstone, drop: in this order, so that a crash between any two only means doing them again. */
  async #move(outbox: Outbox, job: ReadDead): Promise<boolean> {
    const { deadLetters, emit } = this.#options;
    const { data, failure, attempts, stalls, diedAt } = adopted(outbox, job);
    const ended = await outbox.outcomes.get(data.id);
    // However it died, in a worker or in its lane, it comes by here: before its entry in the ledger goes.
    await outbox.left.settleAll({ fetched: 0, ...job }, ended);
    // It was answered or cancelled before something failed it: that is how it ended, and no letter is owed.
    if (ended !== undefined && ended.outcome !== "dead") return outbox.drop(job);
    if (await outbox.cancels.isRequested(data.id)) return this.#endCancelled(outbox, job, data);
    await deadLetters.put({ data, failure, attempts, stalls, diedAt });
    await outbox.outcomes.put({
      outcome: "dead",
      id: data.id,
      tenant: data.tenant,
      acceptedAt: data.acceptedAt,
      endedAt: diedAt,
      attempts,
      failure,
    });
    const dropped = await outbox.drop(job);
    if (dropped)
      emit("dead-letter:stored", { id: data.id, errorClass: failure.errorClass, kind: failure.kind });
    return dropped;
  }

  /** Its caller was told that it will be cancelled, and it failed before it could be: no letter is owed. */
  async #endCancelled(outbox: Outbox, job: Dead, data: JobData): Promise<boolean> {
    const { diedAt: endedAt, attempts } = job;
    const { id, tenant, pool, lane, acceptedAt } = data;
    await outbox.outcomes.put({ outcome: "cancelled", id, tenant, acceptedAt, endedAt, attempts });
    const dropped = await outbox.drop(job);
    if (dropped) this.#options.emit("job:cancelled", { id, tenant, pool, lane });
    return dropped;
  }
}

/** What of the job only a newer version can read. */
function newerOf({ id, data, failure }: Dead): NewerRecord | undefined {
  const read = readJobData(data);
  if (read.type === "newer" && read.envelope.id === id) {
    return { what: JOB_DATA, version: read.version, known: JOB_DATA_VERSION };
  }
  return failure instanceof NewerVersionError ? failure : undefined;
}
