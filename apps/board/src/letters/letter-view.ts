/**
 * The store as the boards look at it: counts and pages that come in time or are old, and never an error. One view serves
 * all boards of the process, so that what one of them changes no other shows as it was.
 */
import {
  isDeadLetterError,
  searchLetters,
  type DeadLetterState,
  type DeadLetterStore,
  type Letter,
  type ShownLetter,
} from "@sluice/dead-letter";
import { localTime, type Clock } from "@sluice/job";
import { Kept, PATIENCE_MS, withPatience } from "../kept.ts";
import { Refused } from "../refusal.ts";
import { Turns } from "../turns.ts";

export const STATES = [
  "dead",
  "replaying",
  "resolved",
  "parked",
] as const satisfies readonly DeadLetterState[];

/** Counting reads an index: once in this time is enough for everybody who watches. */
const COUNT_AGE_MS = 12_000;

/** How long the places between pages are remembered. */
const PLACES_AGE_MS = 60_000;

/** Letters that are stepped over at most to get to a page by its number. */
const MOST_SKIPPED = 5_000;

const MOST_PER_PAGE = 300;

/** Pages that are read at once, and that wait: stepping to a far one reads thousands of letters. */
const PAGES = { atOnce: 4, waiting: 50 };
const STEP = 100;

export class LetterView {
  readonly #store: DeadLetterStore;
  readonly #clock: Clock;
  readonly #turns = new Turns(PAGES);
  readonly #counts = new Map<string, Kept<number>>();
  /** Group to offset to cursor; `at` by the monotonic clock. */
  readonly #places = new Map<string, { readonly at: number; readonly cursors: Map<number, string> }>();
  #problem: string | undefined;

  constructor(store: DeadLetterStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** What of this class cannot be shown as it is, for its title; `undefined` when all is well. */
  problem(errorClass: string): string | undefined {
    const kept = STATES.map((state) => this.#count(errorClass, state));
    if (this.#problem === undefined && kept.every(({ problem }) => problem === undefined)) return undefined;
    const times = kept.map(({ loadedAt }) => loadedAt ?? 0);
    const oldest = Math.min(...times);
    return oldest === 0
      ? "DynamoDB does not answer, or is still counting"
      : `DynamoDB does not answer. Counts are of ${new Date(oldest).toISOString().slice(11, 19)} UTC`;
  }

  async counts(errorClass: string): Promise<Record<DeadLetterState, number>> {
    const counted = await Promise.all(
      STATES.map(async (state) => [state, (await this.#count(errorClass, state).read()) ?? 0] as const),
    );
    return { dead: 0, replaying: 0, resolved: 0, parked: 0, ...Object.fromEntries(counted) };
  }

  /** Letters of a class by number, newest death first; none when the store does not answer in time. */
  async page(
    errorClass: string,
    states: readonly DeadLetterState[],
    start: number,
    end: number,
  ): Promise<readonly Letter[]> {
    const size = Math.min(end - start + 1, MOST_PER_PAGE);
    try {
      const what = `${errorClass} ${states.join(" ")} ${start} ${size}`;
      const reading = this.#turns.take(what, async () => this.#read(errorClass, states, start, size));
      const letters = await withPatience(reading);
      this.#problem = undefined;
      return letters;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      return [];
    }
  }

  /** Without its data where that is damaged. @throws Refused when the store does not answer in time. */
  async get(id: string): Promise<ShownLetter | undefined> {
    const whole = this.#store.get(id).catch(async (error: unknown) => {
      if (isDeadLetterError(error) && error.code === "corrupt") return this.#store.look(id);
      throw error;
    });
    return withPatience<ShownLetter | undefined>(whole).catch((error: unknown) => {
      throw unavailable(error);
    });
  }

  /** Something was written: what is known may be wrong. */
  changed(): void {
    for (const kept of this.#counts.values()) kept.outdate();
    this.#places.clear();
  }

  async #read(
    errorClass: string,
    states: readonly DeadLetterState[],
    start: number,
    size: number,
  ): Promise<readonly Letter[]> {
    const group = `${errorClass} ${states.join(" ")}`;
    const cursors = this.#cursors(group);
    const from = Math.max(0, ...[...cursors.keys()].filter((offset) => offset <= start));
    if (start - from > MOST_SKIPPED) return [];
    const letters: Letter[] = [];
    let offset = from;
    let cursor = cursors.get(from);
    while (offset < start + size) {
      // A page's own edges are met, so that the next page begins at a known place.
      const limit = Math.min(STEP, (offset < start ? start : start + size) - offset);
      const page = await searchLetters(this.#store, {
        groups: [{ errorClass }],
        states,
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      if (offset >= start) letters.push(...page.items);
      offset += page.items.length;
      ({ cursor } = page);
      if (cursor === undefined) break;
      cursors.set(offset, cursor);
    }
    return letters;
  }

  #cursors(group: string): Map<number, string> {
    const known = this.#places.get(group);
    const now = localTime.monotonic();
    if (known !== undefined && now - known.at < PLACES_AGE_MS) return known.cursors;
    const fresh = { at: now, cursors: new Map<number, string>() };
    this.#places.set(group, fresh);
    return fresh.cursors;
  }

  #count(errorClass: string, state: DeadLetterState): Kept<number> {
    const key = `${errorClass} ${state}`;
    const kept =
      this.#counts.get(key) ??
      new Kept({
        load: async () => this.#store.count({ state, by: { errorClass } }),
        maxAgeMs: COUNT_AGE_MS,
        patienceMs: PATIENCE_MS,
        clock: this.#clock,
      });
    this.#counts.set(key, kept);
    return kept;
  }
}

export function unavailable(error: unknown): Refused {
  const reason = error instanceof Error ? error.message : String(error);
  return new Refused(503, `The dead letters cannot be read. ${reason}`);
}
