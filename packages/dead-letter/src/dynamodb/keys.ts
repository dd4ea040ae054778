/** The table's keys and attribute names, in one place: items, queries, table and template all speak these. */
import type { IndexName } from "../query.ts";
import type { Item } from "./client.ts";

/** Partition key: the record's id, or `CLASSES_ID`. */
export const PARTITION_KEY = "id";
/** Sort key: `LETTER`, a part of a body, or an error class. */
export const SORT_KEY = "item";
/** Sort key of every index: a letter's place in time. Parts have none, so no index holds them. */
export const PLACE = "at";
/** When DynamoDB may delete the item, in seconds since the epoch. */
export const TIME_TO_LIVE = "ttl";
/** Projected into the indexes, so that counts can leave expired letters out. Milliseconds since the epoch. */
export const EXPIRES_AT = "expiresAt";

/** Partition keys of the indexes; each index is named after its key. */
export const INDEXES = ["byClass", "byLane", "byTenant"] as const satisfies readonly IndexName[];

/** The sort key of a letter. */
export const LETTER = "letter";

/** The partition that lists the error classes. No record id has a '#'. */
export const CLASSES_ID = "#classes";

/** The key of an item. */
export function keyOf(id: string, item: string): Item {
  return { [PARTITION_KEY]: { S: id }, [SORT_KEY]: { S: item } };
}

/** What the sort keys of all parts begin with. */
export const PART_PREFIX = "body#";

/** The sort key of a part of a body, counted from 1. */
export function partKey(body: string, part: number): string {
  return `${PART_PREFIX}${body}#${String(part).padStart(4, "0")}`;
}
