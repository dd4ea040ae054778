/**
 * The calls a worker process may have in flight for one pool, shared by its lanes. A slot is needed to fetch a job, and
 * for its call. Between the two, while a grant waits for its start, a job holds none.
 *
 * Whoever asks at the gate gives way to a call that starts: it needs its slot only when its own start has come. So a
 * call that was granted never waits for one that was not.
 */

/** Gives the slot back. Calling it again does nothing. */
export type ReleaseSlot = () => void;

/** Fractions of the slots that lanes get while more urgent ones want all of them. A lane that is left out gets none. */
export type SlotShares = Readonly<Record<string, number>>;

/** To fetch a job and ask for its quota; or to call. */
type Purpose = "ask" | "call";

interface Waiter {
  readonly lane: string;
  readonly grant: () => void;
}

/** A slot is kept free for each more urgent lane that uses none, so that its first job never waits for theirs. */
const KEPT = 1;

export class Slots {
  readonly #lanes: readonly string[];
  readonly #total: number;
  #extra = 0;
  readonly #shares: SlotShares;
  readonly #used: Readonly<Record<Purpose, Map<string, number>>> = { ask: new Map(), call: new Map() };
  readonly #waiting: Record<Purpose, Waiter[]> = { ask: [], call: [] };
  /** Turns that a lane's share has earned it and that it has not had, by lane. */
  readonly #owed = new Map<string, number>();

  /**
   * @param lanes most urgent first. A free slot goes to the first that waits, or to one whose share is due.
   * @param total calls in flight at most, at least one per lane.
   * @throws RangeError when there are fewer slots than lanes.
   */
  constructor(lanes: readonly string[], total: number, shares: SlotShares = {}) {
    if (!Number.isInteger(total) || total < lanes.length * KEPT) {
      throw new RangeError(
        `Expected slots to be an integer of at least ${lanes.length * KEPT} ` +
          `(${KEPT} for each of ${lanes.length} lanes), got ${total}`,
      );
    }
    this.#lanes = lanes;
    this.#total = total;
    this.#shares = shares;
  }

  /** Calls in flight, over all lanes. */
  get calls(): number {
    return this.#lanes.reduce((sum, lane) => sum + this.#of("call", lane), 0);
  }

  get total(): number {
    return this.#total;
  }

  /** Slots beyond the total, for a while: see the drain's `HungCalls`. With fewer again those in use stay so. */
  get extra(): number {
    return this.#extra;
  }

  set extra(extra: number) {
    this.#extra = extra;
    this.#grantFree();
  }

  /** Whether somebody waits for a slot. */
  get blocked(): boolean {
    return this.#waiting.ask.length + this.#waiting.call.length > 0;
  }

  /** Takes a slot to fetch and ask with, now or when one is free; `undefined` when the signal fires first. */
  async acquire(lane: string, signal: AbortSignal): Promise<ReleaseSlot | undefined> {
    return this.#acquire("ask", lane, signal);
  }

  /** Takes a slot for a call, before all who want to fetch; `undefined` when the signal fires first. */
  async acquireCall(lane: string, signal: AbortSignal): Promise<ReleaseSlot | undefined> {
    return this.#acquire("call", lane, signal);
  }

  /** Takes a slot for a call if one is free now. */
  tryAcquireCall(lane: string): ReleaseSlot | undefined {
    return this.#isFree("call", lane) ? this.#take("call", lane) : undefined;
  }

  async #acquire(purpose: Purpose, lane: string, signal: AbortSignal): Promise<ReleaseSlot | undefined> {
    if (signal.aborted) return undefined;
    if (this.#isFree(purpose, lane)) return this.#take(purpose, lane);
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#leave(purpose, waiter);
        resolve(undefined);
      };
      const waiter: Waiter = {
        lane,
        grant: () => {
          signal.removeEventListener("abort", abort);
          resolve(this.#take(purpose, lane));
        },
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting[purpose].push(waiter);
    });
  }

  #of(purpose: Purpose, lane: string): number {
    return this.#used[purpose].get(lane) ?? 0;
  }

  /** @param waiting lanes that wait for one, for which none needs to be kept: they take turns. Default: none. */
  #isFree(purpose: Purpose, lane: string, waiting: readonly string[] = []): boolean {
    const rank = this.#lanes.indexOf(lane);
    const isFirst = this.#of("ask", lane) + this.#of("call", lane) === 0;
    let used = 0;
    for (const [place, each] of this.#lanes.entries()) {
      // Calls that start pass over those who ask; so does the first job of a lane, over those of less urgent ones.
      const counts = purpose === "ask" && !(isFirst && place > rank);
      const ofLane = this.#of("call", each) + (counts ? this.#of("ask", each) : 0);
      used += place < rank && !waiting.includes(each) ? Math.max(KEPT, ofLane) : ofLane;
    }
    return used < this.#total + this.#extra;
  }

  #take(purpose: Purpose, lane: string): ReleaseSlot {
    this.#used[purpose].set(lane, this.#of(purpose, lane) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#used[purpose].set(lane, this.#of(purpose, lane) - 1);
      this.#grantFree();
    };
  }

  #grantFree(): void {
    for (const purpose of ["call", "ask"] as const) {
      for (let next = this.#next(purpose); next !== undefined; next = this.#next(purpose)) {
        this.#leave(purpose, next);
        next.grant();
      }
    }
  }

  /**
   * Who gets a free slot: the most urgent lane that waits, unless a less urgent one is owed a turn. Every turn that
   * others get owes a waiting lane its share of one.
   */
  #next(purpose: Purpose): Waiter | undefined {
    const waiting = this.#waiting[purpose];
    const wanting = this.#lanes.filter((lane) => waiting.some((waiter) => waiter.lane === lane));
    const lanes = wanting.filter((lane) => this.#isFree(purpose, lane, wanting));
    const [first] = lanes;
    if (first === undefined) return undefined;
    let chosen = first;
    if (lanes.length > 1) {
      for (const lane of lanes) this.#owed.set(lane, this.#owedTo(lane) + (this.#shares[lane] ?? 0));
      chosen = lanes.find((lane) => this.#owedTo(lane) >= 1) ?? first;
      this.#owed.set(chosen, Math.max(0, this.#owedTo(chosen) - 1));
    }
    return waiting.find((waiter) => waiter.lane === chosen);
  }

  #owedTo(lane: string): number {
    return this.#owed.get(lane) ?? 0;
  }

  #leave(purpose: Purpose, waiter: Waiter): void {
    this.#waiting[purpose] = this.#waiting[purpose].filter((other) => other !== waiter);
  }
}
