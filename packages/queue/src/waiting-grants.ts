/**
 * How many granted jobs may wait for their start in one process, over all its lanes and pools: each is held in memory with
 * its prompt, and is lost for seconds when the process dies. A lane is granted at most its horizon ahead (2 s of quota for
 * the most urgent), so more than this is a quota far beyond what one process can call.
 *
 * Half of the places are shared out among the lanes, so that none of them finds all taken and its share goes unused; the
 * other half is whoever's comes first.
 */

/** Or one for each lane, where there are more lanes. */
export const WAITING_AT_MOST = 256;

/** The grants of one lane. */
export interface LaneGrants {
  /** Whether another may wait. */
  readonly hasRoom: boolean;
  /** One waits from now on. Returns its leave, which may be called again. */
  add(): () => void;
}

interface Lane {
  waiting: number;
  readonly onRoom: () => void;
}

export class WaitingGrants {
  readonly #most: number;
  readonly #lanes: Lane[] = [];

  /** @param most grants of the process that wait. */
  constructor(most: number = WAITING_AT_MOST) {
    this.#most = most;
  }

  /** @param onRoom called when there may be room again after there was none. */
  lane(onRoom: () => void): LaneGrants {
    const lane: Lane = { waiting: 0, onRoom };
    this.#lanes.push(lane);
    const hasRoom = (): boolean => this.#hasRoom(lane);
    return {
      get hasRoom() {
        return hasRoom();
      },
      add: () => {
        lane.waiting += 1;
        let waits = true;
        return () => {
          if (!waits) return;
          waits = false;
          // Another lane than this one may have waited for the place.
          const full = this.#lanes.filter((one) => !this.#hasRoom(one));
          lane.waiting -= 1;
          for (const one of full) if (this.#hasRoom(one)) one.onRoom();
        };
      },
    };
  }

  #hasRoom(lane: Lane): boolean {
    const own = Math.max(1, Math.floor(this.#most / (2 * this.#lanes.length)));
    if (lane.waiting < own) return true;
    const taken = this.#lanes.reduce(
      (sum, one) => sum + (one === lane ? one.waiting : Math.max(own, one.waiting)),
      0,
    );
    return taken < this.#most;
  }
}
