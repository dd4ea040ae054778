/**
 * Room for replays in each lane. How many there are is counted in the store, which knows of all processes; between two
 * counts a process hands out what it found free. An index may lag behind a claim by a moment, so what was handed out
 * within that moment is taken off once more: the count errs to the safe side.
 * Two processes that count at the same time may both find the same place free.
 */
import type { LocalTime } from "@sluice/job";

export interface LanePlacesOptions {
  /** Replays that a lane holds at most. */
  readonly perLane: number;
  /** Replays that are in the lane now. */
  readonly count: (pool: string, lane: string) => Promise<number>;
  readonly monotonic: LocalTime["monotonic"];
}

interface Room {
  free: number;
  countedAt: number;
  counting: Promise<void> | undefined;
  /** When places were handed out, by the monotonic clock. */
  taken: number[];
}

/** Shortest time between two counts of a lane that is full. */
const RECOUNT_MS = 1_000;

/** A count that is older than this is not believed. */
const STALE_MS = 5_000;

/** How long the store's index may take to show a claim. */
const INDEX_LAG_MS = 1_000;

export class LanePlaces {
  readonly #options: LanePlacesOptions;
  readonly #rooms = new Map<string, Room>();

  constructor(options: LanePlacesOptions) {
    this.#options = options;
  }

  /** Takes a place if one is free. Rejects when the store does not answer. */
  async tryTake(pool: string, lane: string): Promise<boolean> {
    const room = this.#room(pool, lane);
    const { monotonic } = this.#options;
    const age = monotonic() - room.countedAt;
    if (age >= STALE_MS || (room.free === 0 && age >= RECOUNT_MS)) {
      room.counting ??= this.#recount(room, pool, lane).finally(() => {
        room.counting = undefined;
      });
      await room.counting;
    }
    if (room.free === 0) return false;
    room.free -= 1;
    room.taken.push(monotonic());
    return true;
  }

  /** A place that was taken and not needed. */
  giveBack(pool: string, lane: string): void {
    const room = this.#room(pool, lane);
    room.taken.pop();
    room.free += 1;
  }

  async #recount(room: Room, pool: string, lane: string): Promise<void> {
    const { count, monotonic, perLane } = this.#options;
    const found = await count(pool, lane);
    room.countedAt = monotonic();
    room.taken = room.taken.filter((at) => room.countedAt - at < INDEX_LAG_MS);
    room.free = Math.max(0, perLane - found - room.taken.length);
  }

  #room(pool: string, lane: string): Room {
    const key = `${pool}.${lane}`;
    const room = this.#rooms.get(key) ?? {
      free: 0,
      countedAt: Number.NEGATIVE_INFINITY,
      counting: undefined,
      taken: [],
    };
    this.#rooms.set(key, room);
    return room;
  }
}
