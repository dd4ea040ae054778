/**
 * A figure that is asked for often and costs something. Whoever asks gets it within a bounded time: fresh where it comes
 * in time, else the last good one, while the answer that is on its way serves the next who asks.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { localTime, type Clock, type LocalTime } from "@sluice/job";

export interface KeptOptions<T> {
  readonly load: () => Promise<T>;
  /** How long an answer serves, milliseconds. */
  readonly maxAgeMs: number;
  /** Longest wait for an answer, milliseconds. */
  readonly patienceMs: number;
  /** For when an answer came, which is shown. */
  readonly clock: Clock;
  /** For how old it is: a clock that is set back must not let it serve for as long. Default: this process's. */
  readonly monotonic?: LocalTime["monotonic"];
}

/** The longest that one slow store may hold up everybody's board. */
export const PATIENCE_MS = 1_500;

export class Kept<T> {
  readonly #options: KeptOptions<T>;
  #value: T | undefined;
  #loadedAt: number | undefined;
  /** By the monotonic clock. */
  #freshUntil = -Infinity;
  #loading: Promise<void> | undefined;
  #problem: string | undefined;

  constructor(options: KeptOptions<T>) {
    this.#options = options;
  }

  /** The last good answer, however old. */
  get value(): T | undefined {
    return this.#value;
  }

  /** When the last good answer came, milliseconds since the epoch; `undefined` before the first. */
  get loadedAt(): number | undefined {
    return this.#loadedAt;
  }

  /** Why the last try failed; `undefined` when it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Never rejects, and answers in time. */
  async read(): Promise<T | undefined> {
    const { patienceMs, monotonic = localTime.monotonic } = this.#options;
    if (monotonic() < this.#freshUntil) return this.#value;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    await withPatience(this.#loading, patienceMs).catch(() => {
      this.#problem ??= "does not answer in time";
    });
    return this.#value;
  }

  /** What was kept may be wrong now: the next who asks causes a new answer. */
  outdate(): void {
    this.#freshUntil = -Infinity;
  }

  async #load(): Promise<void> {
    const { load, maxAgeMs, clock, monotonic = localTime.monotonic } = this.#options;
    try {
      this.#value = await load();
      this.#loadedAt = clock();
      this.#freshUntil = monotonic() + maxAgeMs;
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
  }
}

/** Rejects when `promise` takes longer than this. The work goes on; nobody waits for it. */
export async function withPatience<T>(promise: Promise<T>, ms: number = PATIENCE_MS): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`No answer within ${ms} ms`);
  });
  // The loser of the race must not be an unheard rejection.
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}
