/**
 * Whether Redis has room for one more job and its answer. Producers are refused well before Redis is full, with a time
 * after which asking again makes sense: every job that is let in is owed room for its answer, and what fills Redis then
 * is the answers.
 */
import { localTime, type LocalTime } from "@sluice/job";
import type { Redis } from "ioredis";
import { Accepted, type Room } from "./accepted.ts";
import type { LaneQueue } from "./lane-queue.ts";
import { MEMORY_SHARE, MemoryReader, type AnswerSize } from "./memory.ts";

export type Capacity =
  /** There is room, and it is kept for the job. Call `written` when it is in its lane, or will not be. */
  | { readonly type: "free"; readonly written: () => void }
  | {
      readonly type: "full";
      readonly reason: "lane-length" | "lane-bytes" | "redis-memory";
      readonly retryAfterMs: number;
    };

/** What one lane may hold. */
export interface LaneBounds {
  /** Jobs that wait, for their turn or their time. */
  readonly jobs: number;
  /** Bytes of the data of jobs that wait their turn, by estimate. */
  readonly bytes: number;
}

/** A job's keys and options, beside its data. */
const JOB_BYTES = 2_048;

/** Redis gives a long text a fifth more than it needs, at worst. */
const ALLOCATION = 1.25;

/** How long one reading of a lane's bytes serves. */
const READING_AGE_MS = 1_000;

const MEMORY_RETRY_MS = 5_000;
const LANE_RETRY_MS = 10_000;

interface LaneReading {
  readonly began: ReturnType<Accepted["begin"]>;
  readonly readAt: number;
  readonly bytes: number;
}

interface KnownLane {
  readonly accepted: Accepted;
  bytes?: LaneReading;
  /** A reading that is on its way. */
  reading?: Promise<LaneReading> | undefined;
}

/** One for each process and Redis. */
export class CapacityGuard {
  readonly #memory: MemoryReader;
  readonly #monotonic: LocalTime["monotonic"];
  readonly #accepted = new Accepted();
  readonly #lanes = new WeakMap<LaneQueue, KnownLane>();

  /** @param monotonic default: this process's. */
  constructor(redis: Redis, monotonic: LocalTime["monotonic"] = localTime.monotonic) {
    this.#monotonic = monotonic;
    this.#memory = new MemoryReader(redis, this.#accepted, monotonic);
  }

  /** Keeps room for the answers of the lane's jobs, from now on. */
  watch(lane: LaneQueue, size: AnswerSize): void {
    this.#memory.watch(lane, size);
  }

  /**
   * Looks for room for a job. Reads the lane's length each time; its bytes, and Redis's memory, at most once a second
   * while there is plenty.
   */
  async check(lane: LaneQueue, bounds: LaneBounds, job: Room): Promise<Capacity> {
    const room = { ...job, bytes: JOB_BYTES + Math.ceil(job.bytes * ALLOCATION) };
    const known = this.#lanes.get(lane) ?? { accepted: new Accepted() };
    this.#lanes.set(lane, known);
    const { accepted } = known;
    const began = accepted.begin();
    const [memory, counts, bytes] = await Promise.all([
      this.#memory.read(room),
      lane.counts(),
      this.#bytesOf(lane, known),
    ]);
    // Nothing is awaited from here on: of many who ask at once, each sees those before it.
    if (memory !== undefined && this.#memory.spokenFor(memory, room) > memory.max * MEMORY_SHARE) {
      return { type: "full", reason: "redis-memory", retryAfterMs: MEMORY_RETRY_MS };
    }
    if (counts.waiting + counts.delayed + accepted.unseenBy(began).jobs >= bounds.jobs) {
      return { type: "full", reason: "lane-length", retryAfterMs: LANE_RETRY_MS };
    }
    const held = bytes.bytes + accepted.unseenBy(bytes.began).bytes;
    // A lane that holds nothing takes any job: one that is larger than the bound would be put off for ever.
    if (held > 0 && held + job.bytes > bounds.bytes) {
      return { type: "full", reason: "lane-bytes", retryAfterMs: LANE_RETRY_MS };
    }
    this.#memory.heard(lane, job.answerBytes);
    const written = [this.#accepted.add(room), accepted.add(job)];
    return { type: "free", written: () => written.forEach((tell) => tell()) };
  }

  /** A reading that is new enough. Many who ask at once share one. */
  async #bytesOf(lane: LaneQueue, known: KnownLane): Promise<LaneReading> {
    if (known.bytes !== undefined && this.#monotonic() - known.bytes.readAt <= READING_AGE_MS)
      return known.bytes;
    known.reading ??= this.#readBytes(lane, known).finally(() => {
      known.reading = undefined;
    });
    return known.reading;
  }

  async #readBytes(lane: LaneQueue, known: KnownLane): Promise<LaneReading> {
    const began = known.accepted.begin();
    const readAt = this.#monotonic();
    known.bytes = { began, readAt, bytes: await lane.waitingBytes() };
    return known.bytes;
  }
}
