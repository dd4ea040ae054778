/**
 * Writes the text of one call as it comes, in few large pieces. A stream is a convenience: Redis being away never
 * stops the call, the text waits here and goes out in order when Redis is back, each piece once.
 */
import { randomUUID } from "node:crypto";
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { ChunkEnd } from "./chunk-events.ts";

/** Text waits this long for more of it, milliseconds. Nobody reads faster than 20 updates a second. */
const FLUSH_AFTER_MS = 50;

/** After Redis has refused a piece (it is full, or away), milliseconds: a fast stream would else ask 20 times a second. */
const RETRY_AFTER_MS = 500;

/** Or until it is this long, in characters. */
const FLUSH_LENGTH = 512;

/**
 * UTF-8 bytes per token that no answer reaches on average: four is usual, and tokens beyond 32 bytes are runs of
 * blanks. With the base, a cap for a writer gone wrong, not for an answer.
 */
const MOST_BYTES_PER_TOKEN = 64;
const MOST_BYTES_BASE = 4_096;

/** Besides one per token: first, last, and some. */
const MOST_EVENTS_BASE = 64;

/** While text may still come, milliseconds. Renewed by every event. */
const OPEN_TTL_MS = 24 * 60 * 60 * 1000;

/** How long streamed text can be read, from its end, milliseconds. The outcome holds the text for longer. */
export const CHUNKS_TTL_MS: number = 60 * 60 * 1000;

type Keys = readonly [events: string, writer: string];

const start: Script<{ keys: Keys; writer: string; call: number }, boolean> = defineScript(
  new URL("../lua/chunks-start.lua", import.meta.url),
  ({ keys, writer, call }) => ({ keys, argv: [writer, call, OPEN_TTL_MS] }),
  (reply) => reply === 1,
);

interface Piece {
  readonly seq: number;
  /** `restarted` takes back what this call has written; its `text` is the number of the call. */
  readonly type: "text" | "restarted" | ChunkEnd;
  readonly text: string;
}

/** The first half of a character beyond the basic plane, at the end of a text. */
const HALF_CHARACTER = /[\uD800-\uDBFF]$/;

const appendReply = z.enum(["ok", "full", "refused"]);

const append: Script<
  { keys: Keys; writer: string; piece: Piece; maxTokens: number },
  z.infer<typeof appendReply>
> = defineScript(
  new URL("../lua/chunks-append.lua", import.meta.url),
  ({ keys, writer, piece, maxTokens }) => ({
    keys,
    argv: [
      writer,
      piece.seq,
      piece.type,
      piece.text,
      MOST_BYTES_BASE + MOST_BYTES_PER_TOKEN * maxTokens,
      MOST_EVENTS_BASE + maxTokens,
      piece.type === "text" || piece.type === "restarted" ? OPEN_TTL_MS : CHUNKS_TTL_MS,
    ],
  }),
  (reply) => appendReply.parse(reply),
);

export interface ChunkWriterOptions {
  /** As `CallLedger.begin` counts it. From the second call on, readers see `restarted`. */
  readonly call: number;
  /** The most tokens that the call can answer with: caps what is kept. */
  readonly maxTokens: number;
  /** Redis did not take a piece; it goes out with the next. */
  readonly onError: (error: unknown) => void;
}

export class ChunkWriter {
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #options: ChunkWriterOptions;
  readonly #writer = randomUUID();
  #state: "new" | "open" | "closed" = "new";
  #waiting = "";
  /** What has been written is void, and its readers do not know yet. */
  #isVoid = false;
  /** Nothing follows: half a character is all there will be of it. */
  #isEnding = false;
  #seq = 0;
  /** Sent, and not known to have arrived. It is sent again as it is, or it could be written twice. */
  #unsent: Piece | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** By the process's monotonic clock. */
  #retryAt = 0;
  #flushing: Promise<void> | undefined;

  /** Made by `ChunkStream.open`. */
  constructor(redis: Redis, keys: Keys, options: ChunkWriterOptions) {
    this.#redis = redis;
    this.#keys = keys;
    this.#options = options;
    this.#flushInBackground();
  }

  /** Takes text; it is readable 50 ms later at most, while Redis is there. Never waits, never throws. */
  write(text: string): void {
    if (this.#state === "closed") return;
    this.#waiting += text;
    if (this.#waiting.length >= FLUSH_LENGTH) this.#flushInBackground();
    else this.#timer ??= setTimeout(() => this.#flushInBackground(), FLUSH_AFTER_MS);
  }

  /**
   * Takes back all that was written, and has this text instead: readers see `restarted` and then this, whoever comes
   * later only this. For a text that a filter stopped. Never waits, never throws.
   */
  replace(text: string): void {
    if (this.#state === "closed") return;
    this.#isVoid = true;
    this.#waiting = text;
    // At once, whatever was refused before.
    this.#retryAt = 0;
    this.#flushInBackground();
  }

  /**
   * The last event. Write it after the outcome is stored, so that who reads it finds the outcome. `completed` turns
   * into `incomplete` where the cap left text out. Rejects when Redis does not take it: call it again, or leave it to
   * the readers, who find the outcome by themselves, just later.
   */
  async end(type: ChunkEnd): Promise<void> {
    // A flush that fails has told so, and what it could not send goes out with the next.
    await this.#flushing?.catch(() => {});
    this.#isEnding = true;
    await this.#flush();
    if (this.#state === "closed") return;
    this.#unsent = { seq: (this.#seq += 1), type, text: "" };
    await this.#flush();
    this.#state = "closed";
  }

  /**
   * Ends this call's writing without an end of the text: a later call will go on. What it wrote stays readable until
   * then. Never rejects.
   */
  async leave(): Promise<void> {
    await this.#flushing?.catch(() => {});
    await this.#flush().catch(this.#options.onError);
    clearTimeout(this.#timer);
    this.#state = "closed";
  }

  #flushInBackground(): void {
    const waitMs = this.#retryAt - performance.now();
    if (waitMs > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#flushInBackground(), Math.ceil(waitMs));
      return;
    }
    this.#flush().catch((error: unknown) => {
      this.#retryAt = performance.now() + RETRY_AFTER_MS;
      this.#options.onError(error);
    });
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing ??= this.#sendAll().finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  async #sendAll(): Promise<void> {
    const { call, maxTokens } = this.#options;
    const from = { keys: this.#keys, writer: this.#writer };
    if (this.#state === "new") {
      this.#state = (await start.run(this.#redis, { ...from, call })) ? "open" : "closed";
    }
    while (this.#state === "open") {
      this.#unsent ??= this.#nextPiece();
      if (this.#unsent === undefined) return;
      const reply = await append.run(this.#redis, { ...from, piece: this.#unsent, maxTokens });
      this.#unsent = undefined;
      if (reply === "refused") this.#state = "closed";
    }
  }

  /**
   * What goes out next. Redis keeps UTF-8, which has no halves of characters: a model may write an emoji in two
   * pieces, so its first half waits for the second.
   */
  #nextPiece(): Piece | undefined {
    if (this.#isVoid) {
      this.#isVoid = false;
      return { seq: (this.#seq += 1), type: "restarted", text: String(this.#options.call) };
    }
    const isHalf = !this.#isEnding && HALF_CHARACTER.test(this.#waiting);
    const text = isHalf ? this.#waiting.slice(0, -1) : this.#waiting;
    if (text === "") return undefined;
    this.#waiting = this.#waiting.slice(text.length);
    return { seq: (this.#seq += 1), type: "text", text };
  }
}
