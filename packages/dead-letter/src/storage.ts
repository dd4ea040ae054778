/** What a place to keep letters has to offer. Every write is conditional on the revision that was read. */
import type { JobData } from "@sluice/job";
import type { CountQuery, LetterPage, ListQuery } from "./query.ts";
import type { Letter } from "./record.ts";

/** A letter and where its body is. */
export interface Stored<Body> {
  readonly letter: Letter;
  readonly body: Body;
}

/** Letters, each replaced as a whole or not at all. */
export interface Letters<Body> {
  /** The newest committed letter, expired or not. */
  load(id: string): Promise<Stored<Body> | undefined>;
  /** Writes if the stored revision is still `seen` (`undefined`: none stored). Answers whether this write holds. */
  save(next: Stored<Body>, seen: string | undefined): Promise<boolean>;
  /** Deletes if the stored revision is still `seen`. */
  remove(id: string, seen: string): Promise<boolean>;
}

/** Letters through their indexes. Expired letters are not shown. */
export interface LetterIndex {
  list(query: ListQuery, now: number): Promise<LetterPage>;
  count(query: CountQuery, now: number): Promise<number>;
  /** Every error class that a letter ever had, sorted. */
  classes(): Promise<readonly string[]>;
}

/** The jobs' data. A body is written before the letter that names it, and never changed. */
export interface Bodies<Body> {
  /** Puts data where a letter can refer to it. The same id, data and time may be sealed any number of times. */
  seal(id: string, data: JobData, at: number): Promise<Body>;
  /** Reads data back; `undefined` when (part of) the body is gone. Rejects as `corrupt` on any other difference. */
  open(id: string, body: Body): Promise<JobData | undefined>;
  /** Lets a body go at a time, in milliseconds since the epoch. */
  expire(id: string, body: Body, expiresAt: number): Promise<void>;
  /** Deletes a body that no letter names any more, but nothing that `keep` shares with it. */
  drop(id: string, body: Body, keep: Body): Promise<void>;
  /** Finds all bodies of a record, also what a crash left behind. The answer deletes what was found, no more. */
  disposal(id: string): Promise<() => Promise<void>>;
}

export interface Storage<Body> {
  readonly letters: Letters<Body>;
  readonly index: LetterIndex;
  readonly bodies: Bodies<Body>;
}
