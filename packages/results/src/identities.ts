/**
 * Which processes have no credentials for a scope, for everybody to see. Each says it of itself beside its heartbeat,
 * and what it says lives no longer than a beat; who says nothing has some, as far as it knows.
 */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { aliveOwners } from "./heartbeat.ts";
import { identityKey } from "./keys.ts";
import { readStored, writeStored } from "./stored.ts";

/** What a process says of itself. */
export interface LostIdentity {
  readonly errorClass: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

const lostSchema: z.ZodType<LostIdentity> = z.object({
  errorClass: z.string().regex(/^[A-Za-z0-9]{1,64}$/),
  since: z.int().nonnegative(),
});

/** The credentials of a scope's workers, counted. */
export interface Identities {
  /** Workers that are alive. */
  readonly workers: number;
  /** Those of them that have no valid credentials. */
  readonly lost: number;
  /** What refused them, or got in the way of getting any; most frequent first. */
  readonly errorClasses: readonly string[];
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
  if (alive.length === 0) return { workers: 0, lost: 0, errorClasses: [] };
  const notes = await redis.mget(alive.map((owner) => identityKey(keySpace, owner)));
  const counts = new Map<string, number>();
  for (const note of notes) {
    if (note === null) continue;
    const { errorClass } = read(note) ?? UNREADABLE;
    counts.set(errorClass, (counts.get(errorClass) ?? 0) + 1);
  }
  return {
    workers: alive.length,
    lost: [...counts.values()].reduce((sum, count) => sum + count, 0),
    errorClasses: [...counts].toSorted(([, a], [, b]) => b - a).map(([errorClass]) => errorClass),
  };
}

const RECORD = "note of its credentials";

const UNREADABLE = { errorClass: "UnknownError" };

function read(note: string): LostIdentity | undefined {
  try {
    return readStored(RECORD, lostSchema, note, "A note");
  } catch {
    return undefined;
  }
}

/** In words, for those who wait: `undefined` while every worker has credentials. */
export function describeIdentities({
  workers,
  lost,
  errorClasses,
}: Identities): { readonly line: string; readonly isolated: boolean } | undefined {
  if (lost === 0) return undefined;
  const isolated = lost >= workers;
  const count = `${lost} of ${workers} workers ${lost === 1 ? "has" : "have"} no valid credentials`;
  const classes = errorClasses.slice(0, 3).join(", ");
  return { line: `${isolated ? "Isolated: " : ""}${count} (${classes})`, isolated };
}
