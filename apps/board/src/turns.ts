/** Work that costs others something, a bounded part of it at a time. Who asks for what is being done shares it. */
import { Refused } from "./refusal.ts";

export interface TurnsOptions {
  /** Done at once. */
  readonly atOnce: number;
  /** Wait for their turn, at most. More are refused. */
  readonly waiting: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #shared = new Map<string, Promise<unknown>>();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /**
   * Does the work when its turn comes, or shares it with whoever has asked for the same and is not answered yet.
   * Rejects as the work does.
   * @param what equal for equal work only: the same text, the same type of answer.
   * @throws Refused when too many wait.
   */
  async take<T>(what: string, work: () => Promise<T>): Promise<T> {
    const shared = this.#shared.get(what);
    // Equal texts are equal work, and so of one type.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as said
    if (shared !== undefined) return shared as Promise<T>;
    const done = this.#turn(work).finally(() => this.#shared.delete(what));
    this.#shared.set(what, done);
    return done;
  }

  async #turn<T>(work: () => Promise<T>): Promise<T> {
    const { atOnce, waiting } = this.#options;
    if (this.#running >= atOnce) {
      if (this.#queue.length >= waiting)
        throw new Refused(503, "Too many ask at once. Try it a little later");
      // Whoever ends hands its place on, so nobody who comes between takes it.
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
