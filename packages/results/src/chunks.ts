/**
 * Streamed text, readable while it is written, from any process: one Redis stream per job, capped, with a time to
 * live from its end. Broken calls are visible as `restarted`; a text is whole only if it ends in `completed`.
 */
import { connectionOptions, type KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { chunkEvents, isLast, type ChunkEvent } from "./chunk-events.ts";
import { ChunkWriter, type ChunkWriterOptions } from "./chunk-writer.ts";
import { chunkKeys } from "./keys.ts";
import { OutcomeStore } from "./outcomes.ts";

/** Below the connection's socket timeout, and how soon a reader notices an end that nobody wrote, milliseconds. */
const BLOCK_MS = 5_000;

/** An outcome is stored just before the last event: how long that event may take, milliseconds. */
const LAST_EVENT_MS = 1_000;

const PAGE = 100;

export interface ChunkRead {
  readonly id: string;
  /** Go on after this event, which may be one of an earlier life of the job. Default: from the beginning. */
  readonly after?: string | undefined;
  /** How the job is known to have ended, where its outcome may no longer be kept. Default: its outcome says so. */
  readonly ended?: "failed" | undefined;
  /** Ends the reading, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export class ChunkStream {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  /** @param redis writes with it; every `read` opens a connection of its own to the same server. */
  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** Begins to write for one call. Never waits: what Redis does not take yet is kept. */
  open({ id, ...options }: ChunkWriterOptions & { id: string }): ChunkWriter {
    return new ChunkWriter(this.#redis, chunkKeys(this.#keySpace, id), options);
  }

  /**
   * The events of a job, those that are there and those to come, up to the last one. It waits for a job that has not
   * begun and through outages of Redis. Ends by itself once the job has ended, also when nobody wrote a last event
   * (the job died before a call, its worker died before the event): then with `failed` or `incomplete`, by outcome.
   */
  async *read({ id, after, ended, signal }: ChunkRead): AsyncGenerator<ChunkEvent, void, undefined> {
    signal?.throwIfAborted();
    const redis = this.#redis.duplicate({ ...connectionOptions("worker"), commandTimeout: undefined });
    // It reconnects by itself, and the reader has nothing to do about it.
    redis.on("error", () => {});
    const cut = (): void => redis.disconnect();
    signal?.addEventListener("abort", cut, { once: true });
    try {
      yield* this.#follow(redis, { id, after, ended });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cut);
      redis.disconnect();
    }
  }

  async *#follow(
    redis: Redis,
    { id, after, ended }: Omit<ChunkRead, "signal">,
  ): AsyncGenerator<ChunkEvent, void, undefined> {
    const outcomes = new OutcomeStore(redis, this.#keySpace);
    const [events] = chunkKeys(this.#keySpace, id);
    let last = after ?? "0";
    let blockMs = 1;
    let end: "failed" | "incomplete" | undefined = ended;
    for (;;) {
      const page = chunkEvents(await redis.xread("COUNT", PAGE, "BLOCK", blockMs, "STREAMS", events, last));
      for (const event of page) {
        // Whoever comes with the id of an event has text of an earlier life, and this one begins anew.
        yield event.type === "started" && after !== undefined ? { ...event, type: "restarted" } : event;
        if (isLast(event)) return;
        last = event.id;
      }
      if (page.length > 0) continue;
      if (end !== undefined) {
        yield { id: last, type: end };
        return;
      }
      const outcome = await outcomes.get(id);
      if (outcome !== undefined) end = "answer" in outcome ? "incomplete" : "failed";
      blockMs = end === undefined ? BLOCK_MS : LAST_EVENT_MS;
    }
  }
}
