/** Finds the error classes there are, again and again: other processes write letters of new ones at any time. */
import { Rounds } from "@sluice/job";

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
  readonly #rounds: Rounds;

  constructor(options: ClassWatchOptions) {
    this.#options = options;
    const { everyMs, onError } = options;
    this.#rounds = new Rounds({ work: async () => this.look(), everyMs, onError });
  }

  get known(): readonly string[] {
    return [...this.#known];
  }

  start(): void {
    this.#rounds.start();
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
  }

  /** Looks once. Rejects when the store does not answer. */
  async look(): Promise<void> {
    for (const errorClass of await this.#options.classes()) {
      if (this.#known.has(errorClass)) continue;
      this.#known.add(errorClass);
      this.#options.onClass(errorClass);
    }
  }
}
