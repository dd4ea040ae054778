/** The dead letter store as its users see it. */
import type { Clock, JobData, Payload, Random } from "@sluice/job";
import type { PreviewOption } from "./preview.ts";
import type { CountQuery, LetterPage, ListQuery } from "./query.ts";
import type { Death, DeadLetter, Letter } from "./record.ts";
import type { ClaimCommand, Refusal } from "./transitions.ts";

/** Settings of both stores. */
export interface StoreOptions {
  /** What is stored of a prompt in plain text. Default `false`: nothing. */
  readonly preview?: PreviewOption;
  /** How long a resolved letter is kept, in milliseconds. Default 30 days. */
  readonly retentionMs?: number;
  /** Default: the machine's clock. */
  readonly now?: Clock;
  /** Spreads writers that met on one record. Default `Math.random`. */
  readonly random?: Random;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export const STORE_DEFAULTS = {
  preview: false,
  retentionMs: 30 * DAY_MS,
} satisfies StoreOptions;

/** `done`: written. `already-done`: a repeated command, nothing to write. `refused`: not allowed; look again. */
export type Change =
  | { readonly outcome: "done"; readonly letter: Letter }
  | { readonly outcome: "already-done" }
  | { readonly outcome: "refused"; readonly reason: Refusal };

/** A letter that is gone has nothing more to say. */
export type Purge = { readonly outcome: "done" } | Extract<Change, { outcome: "refused" }>;

/** What a claim hands over: put `data` in its lane as the job `data.id`. Nobody else got it. */
export type ClaimResult =
  | { readonly outcome: "claimed"; readonly letter: Letter & { state: "replaying" }; readonly data: JobData }
  | { readonly outcome: "refused"; readonly reason: Refusal };

/**
 * Ids may be those of a replay: they lead to the record of their logical job. Calls reject with a
 * `DeadLetterError` when the storage fails, and with a `RangeError` (or zod's error, for a job's data) on a bad
 * argument, which writes nothing.
 */
export interface DeadLetterStore {
  /**
   * Records a death. Idempotent per death (job id and `diedAt`). A later death of the job rewrites its record.
   * Rejects when the store does not answer; asking again is always safe.
   */
  put(death: Death): Promise<"stored" | "already-stored">;
  get(id: string): Promise<DeadLetter | undefined>;
  /** The letter without its data: costs less than `get`, and answers also when the data cannot be read. */
  look(id: string): Promise<Letter | undefined>;
  /** A page may be shorter than `limit` and still have a `cursor`. */
  list(query: ListQuery): Promise<LetterPage>;
  count(query: CountQuery): Promise<number>;
  /** Every error class a letter was ever stored with, sorted. */
  classes(): Promise<readonly string[]>;
  /** Claims the next replay, exactly once however often it is asked, or a replay whose lease ran out. */
  claim(id: string, command: ClaimCommand): Promise<ClaimResult>;
  /** Gives up the claim of the replay `jobId`: dead again, with the note as the reason. Before its lease is over: by its owner only. */
  release(id: string, command: { jobId: string; by: string; note: string }): Promise<Change>;
  /** The job `jobId` was answered after all. */
  resolve(jobId: string): Promise<Change>;
  /** Sets it aside, until a replay is claimed or it is unparked. */
  park(id: string, command: { by: string; note?: string }): Promise<Change>;
  unpark(id: string, command: { by: string }): Promise<Change>;
  /** Adds up to 1,000 characters to the history, in any state. */
  note(id: string, command: { by: string; note: string }): Promise<Change>;
  /** Replaces the request. `revision` is the one the editor saw; validate the payload before. */
  edit(id: string, command: { by: string; revision: string; payload: Payload }): Promise<Change>;
  /**
   * Deletes the record and its data for good, also a record that cannot be read. `revision` is the one the operator saw; of
   * a record that cannot be read, the one in the error that said so.
   */
  purge(id: string, command: { revision: string }): Promise<Purge>;
}
