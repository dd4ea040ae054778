/**
 * Who asks at the gate of a lane, in the order they came. One at a time as long as calls have to wait for quota: another
 * would only be told to wait behind it. Several while every call may start at once: then it is the way to Redis that takes
 * the time.
 */

/** Side by side, with three in four on their way to Redis or back. */
const SIDE_BY_SIDE = 4;

export class Line {
  #width = 1;
  #inside = 0;
  #waiting: (() => void)[] = [];

  /**
   * Resolves to the way out when it is the caller's turn, or when the signal fires: who leaves early leaves its place to
   * the next all the same.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#inside < this.#width || signal.aborted) this.#inside += 1;
    else await this.#turn(signal);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#inside -= 1;
      this.#next();
    };
  }

  /** Says how the last one fared: whether its call may start at once. */
  passed(atOnce: boolean): void {
    this.#width = atOnce ? SIDE_BY_SIDE : 1;
    this.#next();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const go = (): void => {
        signal.removeEventListener("abort", go);
        this.#waiting = this.#waiting.filter((other) => other !== go);
        this.#inside += 1;
        resolve();
      };
      signal.addEventListener("abort", go, { once: true });
      this.#waiting.push(go);
    });
  }

  #next(): void {
    while (this.#inside < this.#width && this.#waiting.length > 0) this.#waiting[0]?.();
  }
}
