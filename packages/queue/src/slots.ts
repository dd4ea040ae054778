/**
 * The calls a worker process may have in flight for one pool, shared by its lanes. Each lane keeps a minimum of
 * its own, so that a full bulk lane can never make a critical job wait for a slot.
 */

/** Gives the slot back. Calling it again does nothing. */
export type ReleaseSlot = () => void;

interface Waiter {
  readonly lane: string;
  readonly grant: () => void;
}

export class Slots {
  readonly #lanes: readonly string[];
  readonly #minimum: number;
  readonly #total: number;
  readonly #used = new Map<string, number>();
  #waiters: Waiter[] = [];

  /**
   * @param lanes most urgent first; free slots go to waiting lanes in this order.
   * @param total calls in flight at most, at least one per lane.
   * @param minimum slots that only the lane itself may use. Default 1.
   * @throws RangeError when the minimums of all lanes exceed the total.
   */
  constructor(lanes: readonly string[], total: number, minimum = 1) {
    if (!Number.isInteger(total) || total < lanes.length * minimum) {
      throw new RangeError(
        `Expected slots to be an integer of at least ${lanes.length * minimum} ` +
          `(${minimum} for each of ${lanes.length} lanes), got ${total}`,
      );
    }
    this.#lanes = lanes;
    this.#total = total;
    this.#minimum = minimum;
  }

  /** Calls in flight or about to be, over all lanes. */
  get used(): number {
    return this.#lanes.reduce((sum, lane) => sum + this.#of(lane), 0);
  }

  /** Takes a slot for the lane if one is free now. */
  tryAcquire(lane: string): ReleaseSlot | undefined {
    return this.#isFree(lane) ? this.#take(lane) : undefined;
  }

  /** Takes a slot for the lane, now or when one is free; `undefined` when the signal fires first. */
  async acquire(lane: string, signal: AbortSignal): Promise<ReleaseSlot | undefined> {
    if (signal.aborted) return undefined;
    if (this.#isFree(lane)) return this.#take(lane);
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve(undefined);
      };
      const waiter: Waiter = {
        lane,
        grant: () => {
          signal.removeEventListener("abort", abort);
          resolve(this.#take(lane));
        },
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #of(lane: string): number {
    return this.#used.get(lane) ?? 0;
  }

  #isFree(lane: string): boolean {
    if (this.#of(lane) < this.#minimum) return true;
    const shared = this.#total - this.#lanes.length * this.#minimum;
    const sharedUsed = this.#lanes.reduce(
      (sum, each) => sum + Math.max(0, this.#of(each) - this.#minimum),
      0,
    );
    return sharedUsed < shared;
  }

  #take(lane: string): ReleaseSlot {
    this.#used.set(lane, this.#of(lane) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#used.set(lane, this.#of(lane) - 1);
      this.#grantNext();
    };
  }

  #grantNext(): void {
    for (const lane of this.#lanes) {
      const waiter = this.#waiters.find((each) => each.lane === lane);
      if (waiter === undefined || !this.#isFree(lane)) continue;
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      waiter.grant();
      return;
    }
  }
}
