/** What a job carries from one try to the next, beside its data: stored with it while it waits. */
import { z } from "zod";
import { failureSchema, type Failure } from "./failure.ts";
import { parseJson } from "./json.ts";
import { OWN_FAILURES } from "./own-failures.ts";
import { assertKnownVersion } from "./version.ts";

/** What a call failed of, as far as the job's own death may have to say it. */
export type LastFailure = Pick<Failure, "kind" | "errorClass" | "message">;

export interface Notes {
  /** Calls that have failed, whatever they cost the job. */
  readonly failures: number;
  /** Attempts that failed by a row of the failure table which allows a job fewer than it has, by row. */
  readonly byRow: Readonly<Record<string, number>>;
  /** Throttles in a row. */
  readonly throttles: number;
  /** It is throttled again and again while others are answered: it is tried ever more rarely, whatever else is idle. */
  readonly apart: boolean;
  /** Times its worker vanished under it before it last came to the gate: it is not what its workers died of. */
  readonly stallsOutlived: number;
  /** When its last call failed, milliseconds since the epoch. */
  readonly failedAt?: number | undefined;
  /** The entry of the pool's chain with which the next try begins; 0 is the pool itself. */
  readonly entry: number;
  readonly last?: LastFailure | undefined;
}

/**
 * The death of a job whose deadline passed. An outage that outlasts the deadline gives it its name, so that the dead
 * letters of one outage stand together.
 * @param last what the job's last call failed of.
 */
export function deadlineFailure(last?: LastFailure): Failure {
  if (last === undefined) {
    return { kind: "terminal", errorClass: OWN_FAILURES.deadline.errorClass, message: "The deadline passed" };
  }
  return { ...last, message: `The deadline passed. The last call: ${last.message}`.slice(0, 500) };
}

/** Of a job no call has failed yet. */
export const NO_NOTES: Notes = {
  failures: 0,
  byRow: {},
  throttles: 0,
  apart: false,
  stallsOutlived: 0,
  entry: 0,
};

/** The version of the notes. As with job data: raised for what must be understood. */
const NOTES_VERSION = 1;

const count = z.int().nonnegative();

/** Every field has a default, since a worker of another version may have written them. */
const notesSchema: z.ZodType<Notes> = z.object({
  failures: count.catch(NO_NOTES.failures),
  byRow: z.record(z.string(), count).catch(NO_NOTES.byRow),
  throttles: count.catch(NO_NOTES.throttles),
  apart: z.boolean().catch(NO_NOTES.apart),
  stallsOutlived: count.catch(NO_NOTES.stallsOutlived),
  failedAt: z.number().optional().catch(undefined),
  entry: count.catch(NO_NOTES.entry),
  last: failureSchema.pick({ kind: true, errorClass: true, message: true }).optional().catch(undefined),
});

/** Reads what is stored, whatever it is, also nothing: as much as this version understands of it. */
export function readNotes(stored: string | null | undefined): Notes {
  return understood(parseJson(stored ?? ""));
}

/**
 * Reads notes that the next try goes by.
 * @throws NewerVersionError for those of a newer version.
 */
export function notesOf(stored: string | null | undefined): Notes {
  const notes = parseJson(stored ?? "");
  assertKnownVersion("notes", notes, NOTES_VERSION);
  return understood(notes);
}

function understood(notes: unknown): Notes {
  return notesSchema.safeParse(notes).data ?? NO_NOTES;
}

/** As it is stored. `systemicDeferrals` is for workers of 0.1, which refuse notes without it. */
export function writeNotes(notes: Notes): string {
  return JSON.stringify({ version: NOTES_VERSION, ...notes, systemicDeferrals: 0 });
}
