/**
 * Which processes are not let in to a scope, for everybody to see: they have no credentials, or no way to Bedrock. Each
 * says it of itself beside its heartbeat, and what it says lives no longer than a beat; who says nothing is let in, as far
 * as it knows.
 */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { aliveOwners } from "./heartbeat.ts";
import { identityKey } from "./keys.ts";
import { readStored, writeStored } from "./stored.ts";

/** What a process says of itself. */
export interface LostIdentity {
  /** Default: `identity`, as notes were before there were others. */
  readonly why?: "identity" | "way" | undefined;
  readonly errorClass: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

const lostSchema: z.ZodType<LostIdentity> = z.object({
  // What a later version may say is still said of this process.
  why: z.enum(["identity", "way"]).optional().catch(undefined),
  errorClass: z.string().regex(/^[A-Za-z0-9]{1,64}$/),
  since: z.int().nonnegative(),
});

/** A scope's workers, counted by whether they are let in. */
export interface Identities {
  /** Workers that are alive. */
  readonly workers: number;
  /** Those of them that have no valid credentials. */
  readonly lost: number;
  /** What refused them, or got in the way of getting any; most frequent first. */
  readonly errorClasses: readonly string[];
  /** Those that cannot reach Bedrock while others can, and what they met. */
  readonly unreached: { readonly workers: number; readonly errorClasses: readonly string[] };
}

export interface IdentityNoteOptions {
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  /** The process, by its heartbeat. */
  readonly owner: string;
  /** As long as a beat. Milliseconds. */
  readonly ttlMs: number;
  /** A note that was not heard. The next one is due as ever. */
  readonly onError: (error: unknown) => void;
}

/** One process's note about itself. */
export class IdentityNote {
  readonly #options: IdentityNoteOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IdentityNoteOptions) {
    this.#options = options;
  }

  /** Says it, and again with every beat; `undefined` takes it back. */
  tell(lost: LostIdentity | undefined): void {
    clearInterval(this.#timer);
    const say = (): void => void this.#say(lost).catch(this.#options.onError);
    if (lost !== undefined) {
      this.#timer = setInterval(say, this.#options.ttlMs / 3);
      this.#timer.unref();
    }
    say();
  }

  /** The process leaves. Never rejects; what is not taken back expires. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#say(undefined).catch(this.#options.onError);
  }

  async #say(lost: LostIdentity | undefined): Promise<void> {
    const { redis, keySpace, owner, ttlMs } = this.#options;
    const key = identityKey(keySpace, owner);
    if (lost === undefined) await redis.del(key);
    else await redis.set(key, writeStored(RECORD, lost), "PX", ttlMs);
  }
}

/** Asks for the workers of a scope. A note that cannot be read counts as one of an unknown class. */
export async function readIdentities(redis: Redis, keySpace: KeySpace): Promise<Identities> {
  const alive = await aliveOwners(redis, keySpace);
  if (alive.length === 0) return { workers: 0, ...lostOf([]), unreached: { workers: 0, errorClasses: [] } };
  const notes = await redis.mget(alive.map((owner) => identityKey(keySpace, owner)));
  const read = notes.flatMap((note) => (note === null ? [] : [readNote(note) ?? UNREADABLE]));
  const { lost: unreached, errorClasses } = lostOf(read.filter(({ why }) => why === "way"));
  return {
    workers: alive.length,
    ...lostOf(read.filter(({ why }) => why !== "way")),
    unreached: { workers: unreached, errorClasses },
  };
}

const RECORD = "note of its credentials";

function lostOf(
  notes: readonly Pick<LostIdentity, "errorClass">[],
): Pick<Identities, "lost" | "errorClasses"> {
  const counts = new Map<string, number>();
  for (const { errorClass } of notes) counts.set(errorClass, (counts.get(errorClass) ?? 0) + 1);
  const byCount = [...counts].toSorted(([, a], [, b]) => b - a);
  return { lost: notes.length, errorClasses: byCount.map(([errorClass]) => errorClass) };
}

const UNREADABLE: Pick<LostIdentity, "why" | "errorClass"> = { errorClass: "UnknownError" };

function readNote(note: string): LostIdentity | undefined {
  try {
    return readStored(RECORD, lostSchema, note, "A note");
  } catch {
    return undefined;
  }
}

/** In words, for those who wait: `undefined` while every worker is let in. */
export function describeIdentities({
  workers,
  lost,
  errorClasses,
  unreached,
}: Identities): { readonly line: string; readonly isolated: boolean } | undefined {
  const out = lost + unreached.workers;
  if (out === 0) return undefined;
  const isolated = out >= workers;
  const said = (count: number, what: string, classes: readonly string[]): string[] =>
    count === 0 ? [] : [`${count} of ${workers} workers ${what} (${classes.slice(0, 3).join(", ")})`];
  const line = [
    ...said(lost, `${lost === 1 ? "has" : "have"} no valid credentials`, errorClasses),
    ...said(unreached.workers, "cannot reach Bedrock", unreached.errorClasses),
  ].join("; ");
  return { line: `${isolated ? "Isolated: " : ""}${line}`, isolated };
}

/** A process that the limiter knows to be denied an operation which others are answered. */
export interface DeniedWorker {
  readonly process: string;
  readonly operation: string;
  /** `undefined`: not known. */
  readonly sinceMs: number | undefined;
}

/** Its name is long, and the log has all of it. */
const NAMED_LENGTH = 8;

/** In words: `undefined` while none that lives is denied anything alone. */
export function describeDenied(
  denied: readonly DeniedWorker[],
  alive: readonly string[],
): string | undefined {
  const living = denied.filter(({ process }) => alive.includes(process));
  const names = [...new Set(living.map(({ process }) => process.slice(0, NAMED_LENGTH)))];
  if (names.length === 0) return undefined;
  const operations = [...new Set(living.map(({ operation }) => operation))].join(", ");
  const since = living.flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [sinceMs]));
  const from = since.length === 0 ? "" : ` since ${new Date(Math.min(...since)).toISOString()}`;
  const are = names.length === 1 ? "is" : "are";
  return `${names.length} of ${alive.length} workers ${are} denied what others may call (${operations})${from}: the role of ${names.slice(0, 3).join(", ")}`;
}

/** Which workers cannot call a pool, and why, in words; `undefined` while all can. `isolated`: none can. */
export async function describeWorkers(
  redis: Redis,
  keySpace: KeySpace,
  denied: readonly DeniedWorker[],
): Promise<{ readonly line: string; readonly isolated: boolean } | undefined> {
  const [identities, alive] = await Promise.all([
    readIdentities(redis, keySpace),
    denied.length === 0 ? [] : aliveOwners(redis, keySpace),
  ]);
  const out = describeIdentities(identities);
  const line = describeDenied(denied, alive);
  if (line === undefined) return out;
  return out === undefined ? { line, isolated: false } : { ...out, line: `${out.line}; ${line}` };
}
