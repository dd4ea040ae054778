/** Crashes at every step: an operation that may not happen, or happen and not be heard of. */
import type { Random } from "@sluice/job";

export class Crash extends Error {
  override readonly name = "Crash";
}

/** Counts what it does to the operations it is given. */
export class Crashes {
  readonly #random: Random;
  readonly #chance: number;
  #active = true;
  #count = 0;

  /** @param chance of a crash before an operation, and again after it. */
  constructor(random: Random, chance: number) {
    this.#random = random;
    this.#chance = chance;
  }

  get count(): number {
    return this.#count;
  }

  /** From now on everything works. */
  end(): void {
    this.#active = false;
  }

  async around<T>(operation: () => Promise<T>): Promise<T> {
    this.#mayCrash();
    const result = await operation();
    this.#mayCrash();
    return result;
  }

  #mayCrash(): void {
    if (!this.#active || this.#random() >= this.#chance) return;
    this.#count += 1;
    throw new Crash("crashed here");
  }
}
