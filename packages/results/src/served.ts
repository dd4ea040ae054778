/**
 * Which lanes the workers of a scope serve, for everybody to see: pools files may differ, and a lane that no worker has in
 * its own waits for ever. Each process says it of itself beside its heartbeat, and what it says lives no longer than a
 * beat. One that says nothing is of a version before this was said, and may serve any.
 */
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { aliveOwners } from "./heartbeat.ts";
import { servedKey } from "./keys.ts";
import { readStored, writeStored } from "./stored.ts";

const RECORD = "note of its lanes";

const servedSchema = z.object({ lanes: z.array(z.string()) });

const put: Script<{ key: string; note: string; ttlMs: number }, void> = defineScript(
  new URL("../lua/note-put.lua", import.meta.url),
  ({ key, note, ttlMs }) => ({ keys: [key], argv: [note, ttlMs] }),
  () => {},
  { whenFull: true },
);

export interface ServedNoteOptions {
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  /** The process, by its heartbeat. */
  readonly owner: string;
  /** Queue names of the lanes it serves. */
  readonly lanes: readonly string[];
  /** As long as a beat. Milliseconds. */
  readonly ttlMs: number;
  /** A note that was not heard. The next one is due as ever. */
  readonly onError: (error: unknown) => void;
}

/** One process's note about itself. */
export class ServedNote {
  readonly #options: ServedNoteOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ServedNoteOptions) {
    this.#options = options;
  }

  /** Says it now, and again with every beat. Resolves when it was said; failures go to `onError`. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#say(), this.#options.ttlMs / 3);
    await this.#say();
  }

  /** The process serves nothing more. Never rejects; what is not taken back expires. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const { redis, keySpace, owner, onError } = this.#options;
    await redis.del(servedKey(keySpace, owner)).catch(onError);
  }

  async #say(): Promise<void> {
    const { redis, keySpace, owner, lanes, ttlMs, onError } = this.#options;
    const note = writeStored(RECORD, { lanes });
    await put.run(redis, { key: servedKey(keySpace, owner), note, ttlMs }).catch(onError);
  }
}

/** What is served of a scope. */
export interface Served {
  /** Workers that are alive. */
  readonly workers: number;
  /** Those of them that do not say what they serve. */
  readonly silent: number;
  /** Queue names that somebody serves. */
  readonly lanes: ReadonlySet<string>;
}

export async function readServed(redis: Redis, keySpace: KeySpace): Promise<Served> {
  const alive = await aliveOwners(redis, keySpace);
  if (alive.length === 0) return { workers: 0, silent: 0, lanes: new Set() };
  const notes = await redis.mget(alive.map((owner) => servedKey(keySpace, owner)));
  const read = notes.map(lanesIn);
  return {
    workers: alive.length,
    silent: read.filter((lanes) => lanes === undefined).length,
    lanes: new Set(read.flatMap((lanes) => lanes ?? [])),
  };
}

/** In words, for those who wait: `undefined` while the lane is served, or may be. */
export function describeUnserved(served: Served, queue: string): string | undefined {
  return describe(served, [queue], "lane");
}

/** The same of a pool: `undefined` while one of its lanes is served, or may be. */
export function describeUnservedPool(served: Served, queues: readonly string[]): string | undefined {
  return describe(served, queues, "pool");
}

function describe(
  { workers, silent, lanes }: Served,
  queues: readonly string[],
  what: string,
): string | undefined {
  if (workers === 0) return "No worker is running";
  if (silent > 0 || queues.some((queue) => lanes.has(queue))) return undefined;
  return workers === 1
    ? `No worker serves this ${what}: the one that runs does not have it in its pools file`
    : `No worker serves this ${what}: none of the ${workers} that run has it in its pools file`;
}

/** Of a newer version, or nobody's: as if it said nothing. */
function lanesIn(note: string | null): readonly string[] | undefined {
  if (note === null) return undefined;
  try {
    return readStored(RECORD, servedSchema, note, "A note").lanes;
  } catch {
    return undefined;
  }
}
