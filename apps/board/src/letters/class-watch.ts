/** Finds the error classes there are, again and again: other processes write letters of new ones at any time. */
import { setTimeout as sleep } from "node:timers/promises";

export interface ClassWatchOptions {
  readonly classes: () => Promise<readonly string[]>;
  /** Called once for every class, in the order of their names as far as they were found together. */
  readonly onClass: (errorClass: string) => void;
  readonly onError: (error: unknown) => void;
  readonly everyMs: number;
}

export class ClassWatch {
  readonly #options: ClassWatchOptions;
  readonly #known = new Set<string>();
  readonly #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(options: ClassWatchOptions) {
    this.#options = options;
  }

  get known(): readonly string[] {
    return [...this.#known];
  }

  start(): void {
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  /** Looks once. Rejects when the store does not answer. */
  async look(): Promise<void> {
    for (const errorClass of await this.#options.classes()) {
      if (this.#known.has(errorClass)) continue;
      this.#known.add(errorClass);
      this.#options.onClass(errorClass);
    }
  }

  async #watch(): Promise<void> {
    const { everyMs, onError } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look().catch(onError);
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
