/**
 * All streams of text that this process reads, over one connection: one blocking read for every reader that waits. A
 * connection per reader would let a single caller use up those that Redis has for the whole fleet.
 */
import { connectionOptions } from "@sluice/redis";
import type { Redis } from "ioredis";
import { chunkEvents, type StoredEvent } from "./chunk-events.ts";

/**
 * How long one read blocks, milliseconds: a reader that comes meanwhile is in the next one. Shorter would ask an idle
 * Redis more often, longer would make the first words of an answer wait.
 */
const BLOCK_MS = 100;

/** Events that one read brings at most: of one stream, and of all together but for one of each. */
const PAGE = 100;
const ROUND = 1_000;

/** Pause after a read that failed: the connection comes back by itself, and what Redis refuses it refuses again. */
const PAUSE_MS = 200;

export interface PageQuery {
  /** The key of the stream. */
  readonly key: string;
  /** Events after this id. */
  readonly after: string;
  /** How long to wait for the first, milliseconds. */
  readonly waitMs: number;
  /** Ends the waiting, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** One reader that waits. */
interface Waiter {
  readonly key: string;
  readonly after: string;
  readonly until: number;
  readonly resolve: (events: StoredEvent[]) => void;
  readonly reject: (error: unknown) => void;
}

export class ChunkReader {
  readonly #redis: Redis;
  readonly #waiting = new Set<Waiter>();
  #reading: Redis | undefined;
  #isAtWork = false;
  #closed = false;

  /** @param redis of the same server; the reader's own connection opens with the first reader. */
  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** The connection, for what readers ask besides. It reconnects for ever, and its commands wait for that. */
  get connection(): Redis {
    if (this.#closed) throw new Error("The reader is closed");
    if (this.#reading !== undefined) return this.#reading;
    this.#reading = this.#redis.duplicate({ ...connectionOptions("worker"), commandTimeout: undefined });
    // It reconnects by itself, and nobody here has anything to do about it.
    this.#reading.on("error", () => {});
    return this.#reading;
  }

  /** The next events of a stream; none when none came in time. Waits through outages of Redis. */
  async page({ key, after, waitMs, signal }: PageQuery): Promise<StoredEvent[]> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error("The reader is closed");
    const { promise, resolve, reject } = Promise.withResolvers<StoredEvent[]>();
    const waiter: Waiter = { key, after, until: performance.now() + waitMs, resolve, reject };
    const leave = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", leave, { once: true });
    this.#waiting.add(waiter);
    if (!this.#isAtWork) void this.#readAll();
    try {
      return await promise;
    } finally {
      this.#waiting.delete(waiter);
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Rejects those who wait and closes the connection. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting) reject(new Error("The reader is closed"));
    this.#reading?.disconnect();
  }

  /** Reads for as long as somebody waits. Never rejects. */
  async #readAll(): Promise<void> {
    this.#isAtWork = true;
    while (this.#waiting.size > 0 && !this.#closed) {
      const waiting = [...this.#waiting];
      try {
        serve(waiting, await this.#read(waiting));
      } catch {
        if (!this.#closed) await this.#readEach(waiting);
      }
      // Whoever was served comes back for more before the next read, if it does at all.
      await new Promise(setImmediate);
    }
    this.#isAtWork = false;
  }

  /** The events of every stream that somebody waits for, from the earliest reader on, by key. */
  async #read(waiting: readonly Waiter[]): Promise<ReadonlyMap<string, readonly StoredEvent[]>> {
    const from = new Map<string, string>();
    for (const { key, after } of waiting) {
      const known = from.get(key);
      if (known === undefined || isAfter(known, after)) from.set(key, after);
    }
    const count = Math.max(1, Math.min(PAGE, Math.floor(ROUND / from.size)));
    const streams = [...from.keys(), ...from.values()];
    return chunkEvents(await this.connection.xread("COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", ...streams));
  }

  /** One stream that cannot be read must not hold up the others: each by itself, without waiting. */
  async #readEach(waiting: readonly Waiter[]): Promise<void> {
    await Promise.all(
      waiting.map(async (waiter) => {
        try {
          const { key, after } = waiter;
          serve([waiter], chunkEvents(await this.connection.xread("COUNT", PAGE, "STREAMS", key, after)));
        } catch (error) {
          waiter.reject(error);
        }
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Gives each its events, and none to those whose time is over. */
function serve(waiting: readonly Waiter[], events: ReadonlyMap<string, readonly StoredEvent[]>): void {
  const now = performance.now();
  for (const { key, after, until, resolve } of waiting) {
    const news = (events.get(key) ?? []).filter(({ id }) => isAfter(id, after));
    if (news.length > 0 || now >= until) resolve(news);
  }
}

/** Whether an id of a stream comes after another: `<milliseconds>-<number>`, or milliseconds alone. */
function isAfter(id: string, other: string): boolean {
  const [ms = 0n, seq = 0n] = id.split("-").map(BigInt);
  const [otherMs = 0n, otherSeq = 0n] = other.split("-").map(BigInt);
  return ms === otherMs ? seq > otherSeq : ms > otherMs;
}
