/**
 * Jobs whose worker died in the middle of their call more than once. One of them may be what kills workers, and must not
 * take the others with it until they are dead too; most are not, and must not wait for each other for long.
 *
 * So they are told apart in groups: a suspect runs beside a few others, and one that cannot afford another death runs
 * beside no other suspect. A killer that got so far dies alone; whoever died beside it in a group was not at its last.
 */

/** Once is no suspicion: a crash sends back everything that was in flight. */
const SUSPECT_LOST = 2;

/** Suspects that run beside each other in one process. */
const TOGETHER = 8;

export class Suspects {
  readonly #lastLost: number;
  /** Calls lost, by job, of the suspects that run here. */
  readonly #running = new Map<string, number>();

  /** @param maxLost calls that a job may lose; with one more it is dead. */
  constructor(maxLost: number) {
    this.#lastLost = maxLost;
  }

  /** Whether the job may run here now; then `leave` follows. @param lost calls that ended with their worker. */
  tryEnter(id: string, lost: number): boolean {
    if (lost < SUSPECT_LOST) return true;
    const others = [...this.#running].filter(([other]) => other !== id).map(([, ofOther]) => ofOther);
    const alone = [lost, ...others].some((each) => each >= this.#lastLost);
    if (others.length >= (alone ? 1 : TOGETHER)) return false;
    this.#running.set(id, lost);
    return true;
  }

  leave(id: string): void {
    this.#running.delete(id);
  }
}
