/**
 * Whose turn it is in a lane. Priorities alone let a herd shut out everybody behind it: after an outage thousands of
 * returned jobs fall due at once, and a live job would wait for all of them. So returned jobs take turns with the
 * others, and scheduled jobs, which come last, get every fifth fetch beside a backlog. A returned job that falls due
 * alone is still the next.
 */
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { LaneKeys } from "./keys.ts";
import { FRESH, RETURNED, SCHEDULED } from "./priorities.ts";

/** After so many new jobs it is a scheduled one's turn. */
const FRESH_PER_SCHEDULED = 4;

const turn: Script<{ keys: LaneKeys; priorities: readonly number[] }, boolean> = defineScript(
  new URL("../lua/turn.lua", import.meta.url),
  ({ keys, priorities }) => ({ keys: [keys.prioritized, keys.wait], argv: [...priorities] }),
  (reply) => reply === 1,
  { whenFull: true },
);

/** One for each lane and process: its own fetches are the row in which turns are counted. */
export class Turns {
  readonly #redis: Redis;
  readonly #keys: LaneKeys;
  #last: number | undefined;
  #fresh = 0;

  /** @param redis the connection that fetches: Redis runs the commands of one connection in the order they are sent. */
  constructor(redis: Redis, keys: LaneKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Before a fetch: makes another job the next one, if it is its turn. Need not be awaited before the fetch is sent.
   * Sends a command only after a returned job, or after several new ones in a row.
   */
  async next(): Promise<void> {
    const priorities = this.#due();
    if (priorities === undefined) return;
    // Scheduled jobs had their chance, also when there is none.
    if (priorities[0] === SCHEDULED) this.#fresh = 0;
    await turn.run(this.#redis, { keys: this.#keys, priorities });
  }

  /** After a fetch: the priority of what was fetched; `undefined` when nothing was. */
  fetched(priority: number | undefined): void {
    this.#last = priority;
    if (priority === FRESH) this.#fresh += 1;
    if (priority === SCHEDULED) this.#fresh = 0;
  }

  #due(): readonly number[] | undefined {
    const scheduledIsDue = this.#fresh >= FRESH_PER_SCHEDULED;
    if (this.#last === RETURNED) return scheduledIsDue ? [SCHEDULED, FRESH] : [FRESH, SCHEDULED];
    return scheduledIsDue ? [SCHEDULED] : undefined;
  }
}

/** Jobs of other priorities that are fetched before one with so many of its own before it. */
export function othersAhead(
  priority: number,
  before: number,
  { returned, fresh, scheduled }: { returned: number; fresh: number; scheduled: number },
): number {
  if (priority === RETURNED) return Math.min(before, fresh + scheduled);
  if (priority === FRESH) {
    return Math.min(returned, before + 1) + Math.min(scheduled, Math.floor(before / FRESH_PER_SCHEDULED));
  }
  const freshAhead = Math.min(fresh, FRESH_PER_SCHEDULED * (before + 1));
  return freshAhead + Math.min(returned, freshAhead + before + 1);
}
