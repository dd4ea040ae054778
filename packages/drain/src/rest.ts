/**
 * A pause in fetching. A job that no pool of its chain takes here for now is handed back, so that another process may have
 * it; the next would have to be, too, and the whole backlog after it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock, Random } from "@sluice/job";

export class Rest {
  readonly #clock: Clock;
  readonly #random: Random;
  /** Milliseconds since the epoch. */
  #until = 0;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Nothing is fetched for so long, and a little longer: other than every other process. */
  begin(ms: number): void {
    this.#until = Math.max(this.#until, this.#clock() + ms * (1 + this.#random() / 4));
  }

  /** Resolves when it is over, or the signal fires. */
  async over(signal: AbortSignal): Promise<void> {
    for (let leftMs = this.#leftMs; leftMs > 0 && !signal.aborted; leftMs = this.#leftMs) {
      await sleep(leftMs, undefined, { signal }).catch(() => undefined);
    }
  }

  get #leftMs(): number {
    return this.#until - this.#clock();
  }
}
