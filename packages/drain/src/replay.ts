/**
 * Replaying dead letters: each is claimed in its store first, so that it runs once however often it is asked for, and
 * what the claim handed over goes into the job's own lane. A lane holds a bounded number of replays at a time, so that
 * thousands of them do not stand before live jobs.
 */
import { localTime, type Clock, type JobData, type LocalTime } from "@sluice/job";
import { formerLife, laneOrPolls, type LifeRecords } from "./former-life.ts";
import { describe } from "./describe.ts";
import { LanePlaces } from "./lane-places.ts";
import type { Outcomes } from "./ports.ts";

/** A dead letter as the one who replays it saw it. */
export interface LetterRef {
  readonly id: string;
  readonly pool: string;
  readonly lane: string;
  /** The life that died last. */
  readonly jobId: string;
  /** Replays so far. A letter that has been replayed since is not replayed by this reference. */
  readonly replays: number;
}

/** Why a claim was refused. `changed`: somebody else was faster. `unreadable`: nobody can run what is stored. */
export type ClaimRefusal = "not-found" | "state" | "changed" | "unreadable";

/** The store of dead letters, as far as a replay needs it. */
export interface ReplayLetters {
  claim(
    id: string,
    command: { by: string; replays: number; leaseMs: number },
  ): Promise<
    | { readonly outcome: "claimed"; readonly data: JobData }
    | { readonly outcome: "refused"; readonly reason: ClaimRefusal }
  >;
  /** The job `jobId` was answered after all. */
  resolve(jobId: string): Promise<unknown>;
  count(query: { state: "replaying"; by: { lane: { pool: string; lane: string } } }): Promise<number>;
}

/** A pool into whose lanes letters are replayed. */
export interface ReplayPool {
  readonly lanes: readonly string[];
  /** How long a replay may take at least, milliseconds. */
  readonly deadlineMs: number;
  /** Notes that the job lives on as this replay, for those who ask for it by its first id. Safe to repeat. */
  readonly lineage: { mark(job: JobData): Promise<void> };
  readonly outcomes: Pick<Outcomes, "get">;
  /** Where started async calls wait for their next poll. */
  readonly polls: Pick<LifeRecords, "find">;
  lane(name: string): {
    /** Where a job of the lane is; `undefined` when it knows none of this id. */
    find(id: string): Promise<{ readonly state: string } | undefined>;
    /** Adds the job under its id; adding it again is harmless. */
    add(job: JobData): Promise<void>;
  };
}

export type ReplayResult =
  /** In its lane, as the job `jobId`. */
  | { readonly outcome: "queued"; readonly id: string; readonly jobId: string }
  /** Claimed, but Redis did not take it: a worker's reconciler puts it into its lane when the claim's lease is over. */
  | { readonly outcome: "claimed"; readonly id: string; readonly jobId: string; readonly error: string }
  /**
   * `lane-busy`: the lane holds as many replays as it may. `no-lane`: the pools file has no such lane (any more).
   * `answered`, `under-way`: the life that died has been answered, or may be: Redis had lost its death.
   */
  | {
      readonly outcome: "refused";
      readonly id: string;
      readonly reason: ClaimRefusal | "lane-busy" | "no-lane" | "answered" | "under-way";
    };

/** Local time: default this process's. */
export interface ReplayOptions extends Partial<LocalTime> {
  readonly letters: ReplayLetters;
  readonly pools: ReadonlyMap<string, ReplayPool>;
  /** Replays that a lane holds at most. Default 20. */
  readonly perLane?: number;
  /** How long a claim may take to reach its lane, milliseconds. Default 60,000. */
  readonly leaseMs?: number;
  /** How long a run waits for a full lane, or after a store that did not answer, milliseconds. Default 1,000. */
  readonly waitMs?: number;
  readonly clock: Clock;
}

export interface ReplayRun {
  /** Who replays. Written into every letter's history. */
  readonly by: string;
  /** Ends the run before its next letter. */
  readonly signal: AbortSignal;
  readonly onResult: (result: ReplayResult) => void;
  /** The store did not answer: the run waits, then tries the same letter again. */
  readonly onTrouble: (error: string) => void;
}

export const REPLAY_DEFAULTS = { perLane: 20, leaseMs: 60_000, waitMs: 1_000 } as const;

export class Replayer {
  readonly #options: ReplayOptions;
  readonly #places: LanePlaces;

  constructor(options: ReplayOptions) {
    this.#options = options;
    const { letters, monotonic = localTime.monotonic, perLane = REPLAY_DEFAULTS.perLane } = options;
    this.#places = new LanePlaces({
      perLane,
      monotonic,
      count: async (pool, lane) => letters.count({ state: "replaying", by: { lane: { pool, lane } } }),
    });
  }

  /** Replays one letter, now or not at all. Rejects when the store does not answer; asking again is safe. */
  async one(letter: LetterRef, by: string): Promise<ReplayResult> {
    const { id, pool, lane } = letter;
    if (!(await this.#places.tryTake(pool, lane))) return { outcome: "refused", id, reason: "lane-busy" };
    return this.#replay(letter, by);
  }

  /**
   * Replays many letters, each lane at its own pace and waiting for none of the others. Resolves when all are in their
   * lanes, or the signal has fired. Never rejects. One result a letter: of runs that meet on a letter exactly one is told
   * `queued` or `claimed`. The letters of a run are `distinct`.
   */
  async run(letters: readonly LetterRef[], run: ReplayRun): Promise<void> {
    const lanes = Map.groupBy(distinct(letters), ({ pool, lane }) => `${pool}.${lane}`);
    await Promise.all(
      [...lanes.values()].map(async (ofLane) => {
        for (const letter of ofLane) await this.#insist(letter, run);
      }),
    );
  }

  async #insist(letter: LetterRef, { by, signal, onResult, onTrouble }: ReplayRun): Promise<void> {
    const { waitMs = REPLAY_DEFAULTS.waitMs, sleep = localTime.sleep } = this.#options;
    while (!signal.aborted) {
      try {
        const result = await this.one(letter, by);
        if (result.outcome !== "refused" || result.reason !== "lane-busy") return onResult(result);
      } catch (error) {
        onTrouble(describe(error));
      }
      await sleep(waitMs, signal);
    }
  }

  async #replay({ id, jobId, pool: poolName, lane, replays }: LetterRef, by: string): Promise<ReplayResult> {
    const { letters, pools, leaseMs = REPLAY_DEFAULTS.leaseMs, clock } = this.#options;
    const giveBack = (): void => this.#places.giveBack(poolName, lane);
    const pool = pools.get(poolName);
    if (pool === undefined || !pool.lanes.includes(lane)) {
      giveBack();
      return { outcome: "refused", id, reason: "no-lane" };
    }
    // While Redis does not answer the claim is only noted: it may come back with the life that died.
    const find = laneOrPolls(pool.lane(lane), pool.polls);
    const former = await formerLife({ outcomes: pool.outcomes, find }, jobId).catch(toError);
    if (former === "answered") await letters.resolve(jobId);
    if (former === "answered" || former === "under-way") {
      giveBack();
      return { outcome: "refused", id, reason: former };
    }
    const claim = await letters.claim(id, { by, replays, leaseMs });
    if (claim.outcome === "refused") {
      giveBack();
      return { outcome: "refused", id, reason: claim.reason };
    }
    const job = revived(claim.data, pool.deadlineMs, clock());
    if (former !== "dead") return { outcome: "claimed", id, jobId: job.id, error: describe(former) };
    try {
      // Noted first: who finds the replay anywhere must find it by the job's own id too.
      await pool.lineage.mark(job);
      await pool.lane(lane).add(job);
    } catch (error) {
      return { outcome: "claimed", id, jobId: job.id, error: describe(error) };
    }
    return { outcome: "queued", id, jobId: job.id };
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Each letter once, however often it was ticked, named or met. */
export function distinct(letters: readonly LetterRef[]): readonly LetterRef[] {
  return [...new Map(letters.map((letter) => [letter.id, letter])).values()];
}

/**
 * A dead job's data for its next life: with as much time as its first one had, and at least as much as its pool gives.
 * An async call is started anew.
 */
export function revived(data: JobData, deadlineMs: number, now: number): JobData {
  const { invocation: _, ...rest } = data;
  const spanMs = Math.max(data.deadlineAt - data.acceptedAt, deadlineMs);
  return { ...rest, acceptedAt: now, deadlineAt: now + spanMs };
}
