/**
 * Work that is done again and again: with a pause between rounds that differs from process to process, so that a fleet does
 * not work in step; never two rounds at once; and stopped for good when its owner leaves.
 */
import type { Random } from "./time.ts";

export interface RoundsOptions {
  /** One round. What it rejects with is told, and the next round comes all the same. */
  readonly work: () => Promise<unknown>;
  /** Pause between the end of one round and the begin of the next, milliseconds: three to five quarters of it. */
  readonly everyMs: number;
  /** Spreads the pauses. Default `Math.random`. */
  readonly random?: Random;
  readonly onError: (error: unknown) => void;
}

/** A pause is between these parts of what was asked for. */
const SHORTEST = 0.75;
const SPREAD = 0.5;

export class Rounds {
  readonly #options: RoundsOptions;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isDueAgain = false;
  #stopped = false;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** The first round begins now. */
  start(): void {
    this.nudge();
  }

  /** The first round begins after a pause. */
  startLater(): void {
    if (!this.#stopped) this.#pause();
  }

  /** There is something to do: a round begins now, or once more after the one under way. */
  nudge(): void {
    if (this.#stopped) return;
    if (this.#round !== undefined) {
      this.#isDueAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#round = this.#do();
  }

  /** No round begins from now on. Resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  async #do(): Promise<void> {
    const { work, onError } = this.#options;
    try {
      await work();
    } catch (error) {
      onError(error);
    }
    this.#round = undefined;
    if (this.#stopped) return;
    const isDueAgain = this.#isDueAgain;
    this.#isDueAgain = false;
    if (isDueAgain) this.nudge();
    else this.#pause();
  }

  #pause(): void {
    const { everyMs, random = Math.random } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.nudge(), everyMs * (SHORTEST + SPREAD * random()));
  }
}
