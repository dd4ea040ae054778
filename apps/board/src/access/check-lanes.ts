/**
 * Whose password is checked next. Each name that is given has a lane of bounded length, whether there is such a user or
 * not, and the lanes take turns: whoever floods the board with tries for one name holds up nobody else by more than a turn,
 * and with tries for many names by no more than what may wait of one address.
 */

export interface Check {
  /** Equal for equal name and password: such checks are one. */
  readonly key: string;
  /** Equal for equal names. */
  readonly user: string;
  readonly address: string;
}

/** Each takes 128 MiB and most of a second of one core. */
const AT_ONCE = 2;

/** Waiting in one lane, and of these from one address. */
const MOST_WAITING = 8;
const MOST_OF_ADDRESS = 2;

/** Waiting in all lanes together, and of these from one address. */
const MOST_IN_ALL = 256;
const MOST_OF_ADDRESS_IN_ALL = 32;

interface Waiting {
  readonly address: string;
  readonly start: () => void;
}

export class CheckLanes {
  readonly #underWay = new Map<string, Promise<boolean>>();
  /** By user, those whose turn comes first in front. */
  readonly #lanes = new Map<string, Waiting[]>();
  #running = 0;

  /** Resolves to what `work` does, or to `undefined` when too many wait before it. */
  async check({ key, user, address }: Check, work: () => Promise<boolean>): Promise<boolean | undefined> {
    const shared = this.#underWay.get(key);
    if (shared !== undefined) return shared;
    const lane = this.#lanes.get(user) ?? [];
    const ofAddress = lane.filter((each) => each.address === address).length;
    if (lane.length >= MOST_WAITING || ofAddress >= MOST_OF_ADDRESS) return undefined;
    const all = [...this.#lanes.values()].flat();
    const allOfAddress = all.filter((each) => each.address === address).length;
    if (all.length >= MOST_IN_ALL || allOfAddress >= MOST_OF_ADDRESS_IN_ALL) return undefined;
    const checked = new Promise<void>((start) => {
      this.#lanes.set(user, [...lane, { address, start }]);
    })
      .then(work)
      .finally(() => {
        this.#underWay.delete(key);
        this.#running -= 1;
        this.#next();
      });
    this.#underWay.set(key, checked);
    this.#next();
    return checked;
  }

  #next(): void {
    if (this.#running >= AT_ONCE) return;
    const [entry] = this.#lanes;
    if (entry === undefined) return;
    const [user, [first, ...rest]] = entry;
    // Behind the other lanes, until its next turn.
    this.#lanes.delete(user);
    if (rest.length > 0) this.#lanes.set(user, rest);
    if (first === undefined) return;
    this.#running += 1;
    first.start();
  }
}
