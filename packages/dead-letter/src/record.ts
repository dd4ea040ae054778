/**
 * What is kept about a dead job. One record per logical job for ever: every further death and every replay of
 * the job is written on the same record, so an operator reads one history instead of hunting for siblings.
 */
import {
  failureSchema,
  jobKindSchema,
  lifeOf,
  nameSchema,
  tenantSchema,
  type Failure,
  type JobData,
} from "@sluice/job";
import { z } from "zod";

/**
 * The version of a letter and of how its body is kept. Raised when a program must understand something new about it; left
 * out by versions before versions were written down.
 */
export const LETTER_VERSION = 1 as const;

/** The most history entries a record keeps: the first, and the newest after it. */
export const HISTORY_LIMIT = 50;

/** The longest note, in UTF-16 code units. With `HISTORY_LIMIT` it bounds a record well below 400 KB. */
export const NOTE_LIMIT = 1_000;

/** One death of a job, as the mover reads it from the failed set. */
export interface Death {
  readonly data: JobData;
  readonly failure: Failure;
  /** Calls that failed by the job's own fault. */
  readonly attempts: number;
  /** How often its worker died under it. */
  readonly stalls: number;
  /** Milliseconds since the epoch: the score in the failed set. With the job id it identifies this death. */
  readonly diedAt: number;
}

export const deadLetterStateSchema = z.enum(["dead", "replaying", "resolved", "parked"]);
export type DeadLetterState = z.infer<typeof deadLetterStateSchema>;

/** The longest name of who did something, in UTF-16 code units. */
export const ACTOR_LIMIT = 200;

/** Who did something: an operator's login, or the part of Sluice that acted. */
const actor = z.string().min(1).max(ACTOR_LIMIT);
const at = z.int();
const note = z.string().max(NOTE_LIMIT);

const historyEntrySchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("died"), at, jobId: z.string(), errorClass: z.string(), message: z.string() }),
  z.object({ event: z.literal("claimed"), at, by: actor, jobId: z.string() }),
  z.object({ event: z.literal("resolved"), at, jobId: z.string() }),
  z.object({ event: z.literal("parked"), at, by: actor, note: note.optional() }),
  z.object({ event: z.literal("unparked"), at, by: actor }),
  z.object({ event: z.literal("noted"), at, by: actor, note }),
  z.object({ event: z.literal("edited"), at, by: actor }),
]);

/** One line of a record's history, oldest first. `at` is in milliseconds since the epoch. */
export type HistoryEntry = z.infer<typeof historyEntrySchema>;

/** A replay in progress. The lease says until when its owner may be believed to be putting the job in its lane. */
const claimSchema = z.object({ jobId: z.string(), by: actor, at, leaseUntil: z.int() });
export type Claim = z.infer<typeof claimSchema>;

const common = {
  version: z.literal(LETTER_VERSION).optional(),
  /** The id of the logical job: without a replay's suffix. */
  id: z.string(),
  tenant: tenantSchema,
  pool: nameSchema,
  lane: nameSchema,
  kind: jobKindSchema,
  acceptedAt: z.int(),
  /** How the job died last. `failure.errorClass` is what dead letters are grouped by. */
  failure: failureSchema,
  attempts: z.int().nonnegative(),
  stalls: z.int().nonnegative(),
  /** The life that died last: the job's own id, or `<id>.r<n>`. */
  jobId: z.string(),
  diedAt: at,
  firstDiedAt: at,
  deaths: z.int().positive(),
  /** Replays claimed so far; the next one runs as `<id>.r<replays + 1>`. */
  replays: z.int().nonnegative(),
  updatedAt: at,
  history: z.array(historyEntrySchema).min(1).max(HISTORY_LIMIT),
  /** The beginning of the prompt. Only where the store is configured to keep one. */
  preview: z.string().optional(),
  /** New with every write. What an edit or a purge was decided upon; also tells a write from its own echo. */
  revision: z.string(),
};

const letterSchemas = [
  z.object({ ...common, state: z.literal("dead") }),
  z.object({ ...common, state: z.literal("parked") }),
  z.object({ ...common, state: z.literal("replaying"), claim: claimSchema }),
  /** Answered after all. Forgotten at `expiresAt`, milliseconds since the epoch. */
  z.object({ ...common, state: z.literal("resolved"), expiresAt: z.int() }),
] as const;

/** Everything of a record but the job's data, so that lists stay cheap and hold no prompts. */
export const letterSchema = z.discriminatedUnion("state", letterSchemas);
export type Letter = z.infer<typeof letterSchema>;

/** A whole record: the letter and the data of the job as it died, or as an operator has edited it since. */
export type DeadLetter = Letter & { readonly data: JobData };

/** A record as it can be shown: without the job's data where that is damaged. */
export type ShownLetter = Letter & { readonly data?: JobData };

/** The id of the record on which the deaths of `jobId` are written, whoever issued that id. */
export function recordId(jobId: string): string {
  return lifeOf(jobId).id;
}

/** Whether a letter is past its time. The table deletes such items days later; until then they are hidden. */
export function isExpired(letter: Letter, now: number): boolean {
  return letter.state === "resolved" && letter.expiresAt <= now;
}
