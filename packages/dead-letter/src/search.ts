/**
 * Letters of several groups and states as one list, newest death first: what an index answers for one group and one
 * state, merged. Conditions that no index knows are tried on the letters as they come, and only on so many: the answer
 * says how far it looked, and its cursor goes on from there.
 */
import { placeOf, type CountQuery, type Grouping } from "./query.ts";
import type { DeadLetterState, Letter } from "./record.ts";
import type { DeadLetterStore } from "./store.ts";

/** What to look for. Groups must not overlap: classes, or lanes, or tenants. */
export interface LetterSearch {
  readonly groups: readonly Grouping[];
  readonly states: readonly DeadLetterState[];
  /** Only letters that died at this time or later; milliseconds since the epoch. */
  readonly from?: number;
  /** Only letters that died before this time; milliseconds since the epoch. */
  readonly until?: number;
  /** Tried on every letter within the groups, states and times. Default: all match. */
  readonly matches?: (letter: Letter) => boolean;
  /** 1 to 100. */
  readonly limit: number;
  /** Letters to look at, at most. Default 1,000. */
  readonly budget?: number;
  /** The `cursor` of the page before. */
  readonly cursor?: string;
}

export interface FoundPage {
  readonly items: readonly Letter[];
  /** Ids of letters that were met and that this version cannot read. Left out when there are none. */
  readonly unreadable?: readonly string[];
  /** How many letters were looked at for this page. */
  readonly lookedAt: number;
  /** Everything that died after this time has been looked at; `undefined` when nothing was. */
  readonly reachedAt?: number;
  /** Where to go on. Without it the search is complete. */
  readonly cursor?: string;
}

/** One group in one state. */
interface Source {
  readonly query: CountQuery;
  buffer: Letter[];
  cursor: string | undefined;
  done: boolean;
  readonly unreadable: Set<string>;
}

const DEFAULT_BUDGET = 1_000;
const PAGE = 100;

/** Pages without a single letter that are read before the search is handed out as it is. */
const IDLE_ROUNDS = 5;

/** Rejects as `list` does. */
export async function searchLetters(
  store: Pick<DeadLetterStore, "list">,
  search: LetterSearch,
): Promise<FoundPage> {
  const { matches = () => true, limit, budget = DEFAULT_BUDGET } = search;
  const sources = sourcesOf(search);
  // Without conditions no more is read than is shown.
  const pageSize = search.matches === undefined ? limit : PAGE;
  const items: Letter[] = [];
  let lookedAt = 0;
  let last: Letter | undefined;
  let idle = 0;
  const unreadable = (): Pick<FoundPage, "unreadable"> => {
    const ids = [...new Set(sources.flatMap((source) => [...source.unreadable]))];
    return ids.length === 0 ? {} : { unreadable: ids };
  };
  const found = (): FoundPage => ({ items, lookedAt, ...reached(last), ...unreadable() });
  for (;;) {
    await Promise.all(sources.map(async (source) => refill(store, source, pageSize)));
    if (sources.some(({ buffer, done }) => buffer.length === 0 && !done)) {
      // An index that shows only letters which have moved since.
      idle += 1;
      if (idle > IDLE_ROUNDS) return { ...found(), cursor: resumeAt(sources, last) };
      continue;
    }
    const letter = newest(sources);
    if (letter === undefined) return found();
    last = letter;
    lookedAt += 1;
    if (matches(letter)) items.push(letter);
    if (items.length === limit || lookedAt >= budget) {
      const over = sources.every(({ buffer, done }) => done && buffer.length === 0);
      return { ...found(), ...(over ? {} : { cursor: placeOf(letter) }) };
    }
  }
}

function sourcesOf({ groups, states, from, until, cursor }: LetterSearch): Source[] {
  const span = { ...(from === undefined ? {} : { from }), ...(until === undefined ? {} : { until }) };
  return groups.flatMap((by) =>
    states.map((state) => ({
      query: { by, state, ...span },
      buffer: [],
      cursor,
      done: false,
      unreadable: new Set<string>(),
    })),
  );
}

async function refill(store: Pick<DeadLetterStore, "list">, source: Source, limit: number): Promise<void> {
  if (source.done || source.buffer.length > 0) return;
  const { cursor } = source;
  const page = await store.list({ ...source.query, limit, ...(cursor === undefined ? {} : { cursor }) });
  source.buffer = [...page.items];
  for (const id of page.unreadable ?? []) source.unreadable.add(id);
  source.cursor = page.cursor;
  source.done = page.cursor === undefined;
}

/** Takes the newest letter of all sources. */
function newest(sources: readonly Source[]): Letter | undefined {
  let best: Source | undefined;
  for (const source of sources) {
    const [head] = source.buffer;
    const [bestHead] = best?.buffer ?? [];
    if (head !== undefined && (bestHead === undefined || placeOf(head) > placeOf(bestHead))) best = source;
  }
  return best?.buffer.shift();
}

/** Nothing before this place has been looked at in every source. */
function resumeAt(sources: readonly Source[], last: Letter | undefined): string {
  if (last !== undefined) return placeOf(last);
  return sources.reduce((place, { cursor = "" }) => (cursor > place ? cursor : place), "");
}

function reached(last: Letter | undefined): Pick<FoundPage, "reachedAt"> {
  return last === undefined ? {} : { reachedAt: last.diedAt };
}
