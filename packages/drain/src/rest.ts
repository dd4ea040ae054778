/**
 * A pause in fetching. A job that no pool of its chain takes here for now is handed back, so that another process may have
 * it; the next would have to be, too, and the whole backlog after it.
 */
import type { LocalTime, Random } from "@sluice/job";

export class Rest {
  readonly #options: LocalTime & { readonly random: Random };
  /** By the monotonic clock. */
  #until = -Infinity;

  constructor(options: LocalTime & { readonly random: Random }) {
    this.#options = options;
  }

  /** Nothing is fetched for so long, and a little longer: other than every other process. */
  begin(ms: number): void {
    const { monotonic, random } = this.#options;
    this.#until = Math.max(this.#until, monotonic() + ms * (1 + random() / 4));
  }

  /** Resolves when it is over, or the signal fires. */
  async over(signal: AbortSignal): Promise<void> {
    for (let leftMs = this.#leftMs; leftMs > 0 && !signal.aborted; leftMs = this.#leftMs) {
      await this.#options.sleep(leftMs, signal);
    }
  }

  get #leftMs(): number {
    return this.#until - this.#options.monotonic();
  }
}
