/**
 * Who asks at the gate of a lane, in the order they came. One at a time as long as calls have to wait for quota: another
 * would only be told to wait behind it. Several while every call may start at once: then it is the way to Redis that takes
 * the time. While the pool takes no calls, those that have failed give way to those that have not: what finds out whether
 * the pool works again is a call, and a job that fails again and again may be the reason itself.
 */

/** Side by side, with three in four on their way to Redis or back. */
const SIDE_BY_SIDE = 4;

interface Waiter {
  readonly failed: boolean;
  readonly go: () => void;
}

export class Line {
  #width = 1;
  #inside = 0;
  #shut = false;
  /** In the line or inside. */
  #failed = 0;
  /** Whether one that has not failed has come since a failed one went back. */
  #freshCame = true;
  #waiting: Waiter[] = [];

  /**
   * Resolves to the way out when it is the caller's turn, or when the signal fires: who leaves early leaves its place to
   * the next all the same.
   * @param failed a call of the job has failed before.
   */
  async enter(signal: AbortSignal, failed: boolean): Promise<() => void> {
    if (failed) this.#failed += 1;
    else this.#freshCame = true;
    if (this.#inside < this.#width || signal.aborted) this.#inside += 1;
    else await this.#turn(signal, failed);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      if (failed) this.#failed -= 1;
      this.#inside -= 1;
      this.#next();
    };
  }

  /**
   * Whether a job that has failed shall go back to its lane instead of entering: while the pool takes no calls one of them
   * is enough, and others would fill the places of jobs that have not failed. Where those come no more, it stays.
   */
  goesBack(): boolean {
    if (!this.#shut || this.#failed === 0 || !this.#freshCame) return false;
    this.#freshCame = false;
    return true;
  }

  /**
   * Before a job asks that has failed: while the pool takes no calls it leaves its place to one that has not, if one
   * waits. Resolves when it is its turn again, or when the signal fires.
   */
  async giveWay(signal: AbortSignal): Promise<void> {
    while (this.#shut && !signal.aborted) {
      const other = this.#waiting.find(({ failed }) => !failed);
      if (other === undefined) return;
      this.#inside -= 1;
      other.go();
      // oxlint-disable-next-line no-await-in-loop -- another may have come meanwhile
      await this.#turn(signal, true);
    }
  }

  /** Says how the last one fared: whether its call may start at once, and whether the pool takes no calls. */
  passed({ atOnce, shut }: { readonly atOnce: boolean; readonly shut: boolean }): void {
    this.#shut = shut;
    this.#width = atOnce ? SIDE_BY_SIDE : 1;
    this.#next();
  }

  async #turn(signal: AbortSignal, failed: boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const go = (): void => {
        signal.removeEventListener("abort", go);
        this.#waiting = this.#waiting.filter((other) => other.go !== go);
        this.#inside += 1;
        resolve();
      };
      signal.addEventListener("abort", go, { once: true });
      this.#waiting.push({ failed, go });
    });
  }

  #next(): void {
    while (this.#inside < this.#width && this.#waiting.length > 0) this.#waiting[0]?.go();
  }
}
