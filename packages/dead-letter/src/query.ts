/** Questions that the indexes answer: one state, by class, by lane or by tenant, in a span of time, newest first. */
import type { DeadLetterState, Letter } from "./record.ts";

/** What letters are grouped by. Each has its index. */
export type Grouping =
  | { readonly errorClass: string }
  | { readonly lane: { readonly pool: string; readonly lane: string } }
  | { readonly tenant: string };

/** Which letters to count. */
export interface CountQuery {
  readonly state: DeadLetterState;
  readonly by: Grouping;
  /** Only letters that died at this time or later; milliseconds since the epoch. Default: no bound. */
  readonly from?: number;
  /** Only letters that died before this time; milliseconds since the epoch. Default: no bound. */
  readonly until?: number;
}

/** Which letters to list: newest death first. */
export interface ListQuery extends CountQuery {
  /** 1 to 100. */
  readonly limit: number;
  /** The `cursor` of the page before. Stays good while letters come, move and go. */
  readonly cursor?: string;
}

/** A page. Without `cursor` it is the last one; with it there may be more. */
export interface LetterPage {
  readonly items: readonly Letter[];
  /** Ids of letters that should be on this page and that this version cannot read. Left out when there are none. */
  readonly unreadable?: readonly string[];
  readonly cursor?: string;
}

export type IndexName = "byClass" | "byLane" | "byTenant";

const TIME_DIGITS = 15;
/** A sort key of DynamoDB ends at 1,024 bytes. */
const CURSOR = /^\d{15}#[ -~]{1,1008}$/;

/** A letter's place in time within every index. The id makes it unique, so a page can go on after any letter. */
export function placeOf(letter: Pick<Letter, "diedAt" | "id">): string {
  return `${timeKey(letter.diedAt)}#${letter.id}`;
}

/** The id at the end of a place. */
export function idAt(place: string): string {
  return place.slice(TIME_DIGITS + 1);
}

function timeKey(ms: number): string {
  return String(ms).padStart(TIME_DIGITS, "0");
}

/** The index keys of a letter. They move with its state. */
export function indexKeys(letter: Letter): Record<IndexName, string> {
  const { state, failure, pool, lane, tenant } = letter;
  return {
    byClass: `${failure.errorClass}#${state}`,
    byLane: `${pool}.${lane}#${state}`,
    byTenant: `${tenant}#${state}`,
  };
}

/** A query in terms of an index: `after` < place < `end`, and before `cursor`. */
export interface Span {
  readonly index: IndexName;
  readonly key: string;
  readonly after: string;
  readonly end: string;
  readonly cursor?: string;
}

/** @throws RangeError on a cursor that no page handed out, and on times that are none. */
export function spanOf(query: CountQuery & { readonly cursor?: string }): Span {
  const { state, by, from = 0, until, cursor } = query;
  checkTime("from", from);
  if (until !== undefined) checkTime("until", until);
  if (cursor !== undefined && !CURSOR.test(cursor)) {
    throw new RangeError(
      `Expected \`cursor\` to be one that a page returned, got '${cursor}'. Start without one`,
    );
  }
  // A place is a time, '#' and an id. A bare time sorts before all places of that time and '~' after every place,
  // so the bounds meet no place themselves.
  const end = until === undefined ? "~" : timeKey(until);
  return { ...group(by, state), after: timeKey(from), end, ...(cursor === undefined ? {} : { cursor }) };
}

function group(by: Grouping, state: DeadLetterState): Pick<Span, "index" | "key"> {
  if ("errorClass" in by) return { index: "byClass", key: `${by.errorClass}#${state}` };
  if ("lane" in by) return { index: "byLane", key: `${by.lane.pool}.${by.lane.lane}#${state}` };
  return { index: "byTenant", key: `${by.tenant}#${state}` };
}

/** @throws RangeError unless 1 to 100. */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw new RangeError(`Expected \`limit\` to be a whole number from 1 to 100, got ${limit}`);
  }
}

function checkTime(name: string, ms: number): void {
  if (Number.isInteger(ms) && ms >= 0 && ms < 10 ** TIME_DIGITS) return;
  throw new RangeError(`Expected \`${name}\` to be whole milliseconds since the epoch, got ${ms}`);
}
