/** Redis's memory as producers have to look at it: what is used, what is let in, and what answers are owed room. */
import { localTime, type LocalTime } from "@sluice/job";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { Accepted, Room } from "./accepted.ts";
import type { LaneQueue } from "./lane-queue.ts";

/** What the answers of a lane's jobs may take. */
export interface AnswerSize {
  /** An answer as long as its limit allows, bytes, until jobs have been seen. */
  readonly atMost: number;
  /** What answers turn out to take, with room, bytes; `undefined` while nobody knows. May be old by a minute. */
  readonly learned?: () => Promise<number | undefined>;
}

export interface Reading {
  readonly began: ReturnType<Accepted["begin"]>;
  readonly readAt: number;
  readonly used: number;
  readonly max: number;
  /** Room for the answers of jobs that are in their lanes or in somebody's hands. */
  readonly owed: number;
}

/** Share of `maxmemory` that may be used or spoken for. The rest is for what Redis itself needs, and for bad guesses. */
export const MEMORY_SHARE = 0.75;

/**
 * Answers are owed this share of `maxmemory` at most, so that guesses which are far too high never shut a queue that is
 * nearly empty. Beyond it a full Redis is met by the workers, who go on as far as there is room.
 */
const OWED_SHARE = 0.65;

/** How long a reading serves: while there is plenty, and while less than a tenth is left. Milliseconds. */
const AGE_MS = { plenty: 1_000, scarce: 100 } as const;
const SCARCE = 0.1;

/** How long what was learned of the answers of a lane serves, milliseconds. */
const LEARNED_AGE_MS = 10_000;

/** Weight of the newest job in what the jobs of a lane ask for. */
const WEIGHT = 0.05;

interface Watched {
  readonly size: AnswerSize;
  atMost: number;
  learned?: { readonly at: number; readonly bytes: number | undefined };
}

const memorySchema = z.object({ used_memory: z.coerce.number(), maxmemory: z.coerce.number() });

export class MemoryReader {
  readonly #redis: Redis;
  readonly #accepted: Accepted;
  readonly #monotonic: LocalTime["monotonic"];
  readonly #watched = new Map<LaneQueue, Watched>();
  #last: Reading | undefined;
  #reading: Promise<Reading> | undefined;

  constructor(redis: Redis, accepted: Accepted, monotonic: LocalTime["monotonic"] = localTime.monotonic) {
    this.#redis = redis;
    this.#monotonic = monotonic;
    this.#accepted = accepted;
  }

  watch(lane: LaneQueue, size: AnswerSize): void {
    this.#watched.set(lane, { size, atMost: size.atMost });
  }

  /** A job of the lane was let in, whose answer may take so much. */
  heard(lane: LaneQueue, answerBytes: number): void {
    const watched = this.#watched.get(lane);
    if (watched !== undefined) watched.atMost += WEIGHT * (answerBytes - watched.atMost);
  }

  /** A reading that is new enough to judge by; `undefined` where Redis has no limit. Many who ask at once share one. */
  async read(room: Room): Promise<Reading | undefined> {
    const last = this.#last;
    if (last !== undefined && this.#monotonic() - last.readAt <= this.#ageMs(last, room))
      return limited(last);
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return limited(await this.#reading);
  }

  /** Bytes that are used or spoken for, this job included. */
  spokenFor({ began, used, max, owed }: Reading, room: Room): number {
    const unseen = this.#accepted.unseenBy(began);
    const answers = Math.min(owed + unseen.answerBytes + room.answerBytes, max * OWED_SHARE);
    return used + unseen.bytes + room.bytes + answers;
  }

  #ageMs(reading: Reading, room: Room): number {
    const left = MEMORY_SHARE - this.spokenFor(reading, room) / reading.max;
    return left < SCARCE ? AGE_MS.scarce : AGE_MS.plenty;
  }

  async #read(): Promise<Reading> {
    const began = this.#accepted.begin();
    const readAt = this.#monotonic();
    const [info, ...owed] = await Promise.all([
      this.#redis.info("memory"),
      ...[...this.#watched].map(
        async ([lane, watched]) => (await lane.unended()) * (await sizeOf(watched, readAt)),
      ),
    ]);
    const { used_memory: used, maxmemory: max } = fieldsOf(info);
    this.#last = { began, readAt, used, max, owed: owed.reduce((sum, bytes) => sum + bytes, 0) };
    return this.#last;
  }
}

/** What one answer is expected to take: no more than it may, and no more than others have shown. */
async function sizeOf(watched: Watched, now: number): Promise<number> {
  const { size } = watched;
  if (size.learned === undefined) return watched.atMost;
  if (watched.learned === undefined || now - watched.learned.at > LEARNED_AGE_MS) {
    watched.learned = { at: now, bytes: await size.learned() };
  }
  return Math.min(watched.atMost, watched.learned.bytes ?? Infinity);
}

function limited(reading: Reading): Reading | undefined {
  return reading.max === 0 ? undefined : reading;
}

function fieldsOf(info: string): z.infer<typeof memorySchema> {
  return memorySchema.parse(Object.fromEntries(info.split(/\r?\n/).map((line) => line.split(":", 2))));
}
