/**
 * Streamed text, readable while it is written, from any process: one Redis stream per job, capped, with a time to
 * live from its end. Broken calls are visible as `restarted`; a text is whole only if it ends in `completed`.
 */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { isLast, type ChunkEvent } from "./chunk-events.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkWriter, type ChunkWriterOptions } from "./chunk-writer.ts";
import { chunkKeys } from "./keys.ts";
import { OutcomeStore } from "./outcomes.ts";

/** How soon a reader notices an end that nobody wrote, milliseconds. */
const LOOK_MS = 5_000;

/** An outcome is stored just before the last event: how long that event may take, milliseconds. */
const LAST_EVENT_MS = 1_000;

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
  readonly #reader: ChunkReader;

  /**
   * @param redis writes with it.
   * @param reader reads, for all who read in this process; its owner closes it. Default: one of its own, which stays
   * open with the first `read`, for tests.
   */
  constructor(redis: Redis, keySpace: KeySpace, reader: ChunkReader = new ChunkReader(redis)) {
    this.#redis = redis;
    this.#keySpace = keySpace;
    this.#reader = reader;
  }

  /** Begins to write for one call. Never waits: what Redis does not take yet is kept. */
  open({ id, ...options }: ChunkWriterOptions & { id: string }): ChunkWriter {
    return new ChunkWriter(this.#redis, chunkKeys(this.#keySpace, id), options);
  }

  /**
   * The events of a job, those that are there and those to come, up to the last one. It waits for a job that has not
   * begun and through outages of Redis. Ends by itself once the job has ended, also when nobody wrote a last event
   * (the job died before a call, its worker died before the event): then with `failed` or `incomplete`, by outcome. An event
   * of a newer version is passed over, and the end is `incomplete` then: the outcome has what this text may lack.
   */
  async *read({ id, after, ended, signal }: ChunkRead): AsyncGenerator<ChunkEvent, void, undefined> {
    signal?.throwIfAborted();
    const outcomes = new OutcomeStore(this.#reader.connection, this.#keySpace);
    const [key] = chunkKeys(this.#keySpace, id);
    let last = after ?? "0";
    let waitMs = 0;
    let end: "failed" | "incomplete" | undefined = ended;
    let lacks = false;
    for (;;) {
      const page = await this.#reader.page({ key, after: last, waitMs, signal });
      for (const event of page) {
        last = event.id;
        if (event.type === "newer") {
          lacks = true;
          continue;
        }
        if (event.type === "completed" && lacks) {
          yield { id: event.id, type: "incomplete" };
          return;
        }
        // Whoever comes with the id of an event has text of an earlier life, and this one begins anew.
        yield event.type === "started" && after !== undefined ? { ...event, type: "restarted" } : event;
        if (isLast(event)) return;
      }
      if (page.length > 0) continue;
      if (end !== undefined) {
        yield { id: last, type: end };
        return;
      }
      // In an outage the question waits, and whoever has left does not.
      const outcome = await unlessAborted(outcomes.get(id), signal);
      if (outcome !== undefined) end = "answer" in outcome ? "incomplete" : "failed";
      waitMs = end === undefined ? LOOK_MS : LAST_EVENT_MS;
    }
  }
}

/** As the promise, or rejected with the signal's reason as soon as it fires. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
