/**
 * How many event streams are open, and for how long. Each holds a connection and memory, and a caller that opens more
 * than it reads would take them from all others.
 */
import { Problem } from "./problem.ts";

export interface StreamBounds {
  /** Open at once in this process. Default 1,000. */
  readonly most: number;
  /** Open at once for one address of a caller. Default 200. Behind a proxy all callers have its address. */
  readonly mostPerAddress: number;
  /** A stream ends after this long, milliseconds, and its reader comes back with `Last-Event-ID`. Default 15 minutes. */
  readonly maxAgeMs: number;
}

export const STREAM_BOUNDS: StreamBounds = { most: 1_000, mostPerAddress: 200, maxAgeMs: 15 * 60_000 };

/** When a refused reader may ask again, seconds. */
const RETRY_AFTER_S = 5;

/** A place among the open streams, given back with `using`. */
export interface Place extends Disposable {
  /** Fires when the stream is to end: it is old enough, or the program leaves. */
  readonly over: AbortSignal;
}

export class OpenStreams {
  readonly #bounds: StreamBounds;
  readonly #places = new Set<AbortController>();
  readonly #byAddress = new Map<string, number>();

  constructor(bounds: StreamBounds) {
    this.#bounds = bounds;
  }

  /** @throws Problem when there is no place: 429 for a caller that has its share, 503 when the process is full. */
  enter(address: string | undefined): Place {
    const { most, mostPerAddress, maxAgeMs } = this.#bounds;
    const caller = (address ?? "").replace(/^::ffff:/, "");
    const theirs = this.#byAddress.get(caller) ?? 0;
    if (theirs >= mostPerAddress) {
      const message = `Your address has ${theirs} streams open, as many as it may. Close one, or read jobs instead`;
      throw new Problem(429, "too-many-streams", message, RETRY_AFTER_S);
    }
    if (this.#places.size >= most) {
      const message = `This server has ${this.#places.size} streams open, as many as it may. Try again soon, or read the job`;
      throw new Problem(503, "too-many-streams", message, RETRY_AFTER_S);
    }
    const over = new AbortController();
    const aged = setTimeout(() => over.abort(), maxAgeMs);
    this.#places.add(over);
    this.#byAddress.set(caller, theirs + 1);
    return {
      over: over.signal,
      [Symbol.dispose]: () => {
        clearTimeout(aged);
        this.#places.delete(over);
        this.#leave(caller);
      },
    };
  }

  /** Ends all streams. Their readers come back, to another process. */
  close(): void {
    for (const place of this.#places) place.abort();
  }

  #leave(caller: string): void {
    const left = (this.#byAddress.get(caller) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(caller, left);
    else this.#byAddress.delete(caller);
  }
}
