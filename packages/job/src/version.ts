/**
 * What is stored carries a version, so that a program knows what it may not judge: a record of a newer version is never
 * malformed, since whoever wrote it knows better. A field that may be overlooked needs no new version, one that must be
 * understood does. A record without a version is of the first, from before versions were written down.
 */
import { z } from "zod";

/** A record that a newer version of Sluice wrote: for a program of that version, and not to be touched by this one. */
export class NewerVersionError extends Error {
  override readonly name = "NewerVersionError";
  /** What the record is, e.g. `job data`. */
  readonly what: string;
  readonly version: number;
  /** The newest version that this program reads. */
  readonly known: number;

  constructor(what: string, version: number, known: number) {
    super(newerVersion(what, version, known));
    this.what = what;
    this.version = version;
    this.known = known;
  }
}

/** In words, for operators and callers. */
export function newerVersion(what: string, version: number, known: number): string {
  return `A newer version of Sluice wrote its ${what} (version ${version}, this program reads up to ${known})`;
}

const versionedSchema = z.looseObject({ version: z.int().positive().optional() });

/** The version of a record; 1 of one that names none, or nothing that is a version. */
export function versionOf(record: unknown): number {
  return versionedSchema.safeParse(record).data?.version ?? 1;
}

/** @throws NewerVersionError for a record of a newer version than `known`. */
export function assertKnownVersion(what: string, record: unknown, known: number): void {
  const version = versionOf(record);
  if (version > known) throw new NewerVersionError(what, version, known);
}
