/**
 * Letters through the indexes. An index is eventually consistent and holds keys only, so it is asked which letters
 * there may be; the letters themselves are read consistently, and those that moved meanwhile are left out.
 */
import { paginateQuery, type DynamoDBClient, type QueryCommandInput } from "@aws-sdk/client-dynamodb";
import { isDeadLetterError } from "../errors.ts";
import { idAt, indexKeys, placeOf, spanOf, type CountQuery, type LetterPage, type Span } from "../query.ts";
import { isExpired, letterSchema, type Letter } from "../record.ts";
import type { LetterIndex } from "../storage.ts";
import { asking, batchGet, type Item } from "./client.ts";
import { CLASSES_ID, EXPIRES_AT, keyOf, LETTER, PARTITION_KEY, PLACE, SORT_KEY } from "./keys.ts";
import { letterOf } from "./letters.ts";

/** Queries one page may take before it is handed out short, so that a page's time is bounded. */
const QUERIES_PER_PAGE = 10;

/** What a list reads of an item: everything of a letter, nothing of its body. */
const LETTER_ATTRIBUTES = [
  ...new Set(letterSchema.options.flatMap((option) => Object.keys(option.shape))),
] as const;

export function dynamoDbIndex(client: DynamoDBClient, table: string): LetterIndex {
  /** The letters at these places; what cannot be read is told in `unreadable`, and hides no other. */
  async function lettersAt(
    places: readonly string[],
    span: Span,
    now: number,
    unreadable: string[],
  ): Promise<Letter[]> {
    const keys = places.map((place) => keyOf(idAt(place), LETTER));
    const items = await batchGet(client, table, keys, LETTER_ATTRIBUTES);
    const letters = new Map<string | undefined, Letter>();
    for (const item of items) {
      const id = item[PARTITION_KEY]?.S;
      try {
        letters.set(id, letterOf(item));
      } catch (error) {
        if (!isDeadLetterError(error) || (error.code !== "corrupt" && error.code !== "newer")) throw error;
        unreadable.push(id ?? "");
      }
    }
    return places.flatMap((place) => {
      const letter = letters.get(idAt(place));
      if (letter === undefined || placeOf(letter) !== place || isExpired(letter, now)) return [];
      return indexKeys(letter)[span.index] === span.key ? [letter] : [];
    });
  }

  return {
    async list(query, now) {
      const span = spanOf(query);
      // A cursor of a wider span that is past this one already; DynamoDB would call it invalid.
      if (span.cursor !== undefined && span.cursor <= span.after) return { items: [] };
      const input = { ...inIndex(table, query, span, now), ScanIndexForward: false };
      return asking(table, "list letters", async () => {
        const items: Letter[] = [];
        const unreadable: string[] = [];
        const told = (page: LetterPage): LetterPage =>
          unreadable.length === 0 ? page : { ...page, unreadable };
        let queries = 0;
        const from = { client, pageSize: query.limit, startingToken: startOf(span) };
        for await (const page of paginateQuery(from, input)) {
          const places = (page.Items ?? []).flatMap((item) => item[PLACE]?.S ?? []);
          items.push(...(await lettersAt(places, span, now, unreadable)));
          const last = items[query.limit - 1];
          if (last !== undefined && items.length > query.limit) {
            return told({ items: items.slice(0, query.limit), cursor: placeOf(last) });
          }
          const reached = page.LastEvaluatedKey?.[PLACE]?.S;
          queries += 1;
          if (reached !== undefined && (last !== undefined || queries === QUERIES_PER_PAGE)) {
            return told({ items, cursor: reached });
          }
        }
        return told({ items });
      });
    },

    async count(query, now) {
      const input = { ...inIndex(table, query, spanOf(query), now), Select: "COUNT" as const };
      return asking(table, "count letters", async () => {
        let count = 0;
        for await (const page of paginateQuery({ client }, input)) count += page.Count ?? 0;
        return count;
      });
    },

    classes: () =>
      asking(table, "list error classes", async () => {
        const classes: string[] = [];
        const input: QueryCommandInput = {
          TableName: table,
          ConsistentRead: true,
          KeyConditionExpression: "#id = :id",
          ExpressionAttributeNames: { "#id": PARTITION_KEY },
          ExpressionAttributeValues: { ":id": { S: CLASSES_ID } },
        };
        for await (const page of paginateQuery({ client }, input)) {
          classes.push(...(page.Items ?? []).flatMap((item) => item[SORT_KEY]?.S ?? []));
        }
        return classes.toSorted();
      }),
  };
}

function inIndex(table: string, { state }: CountQuery, span: Span, now: number): QueryCommandInput {
  const input = {
    TableName: table,
    IndexName: span.index,
    KeyConditionExpression: "#key = :key AND #place BETWEEN :after AND :end",
    ExpressionAttributeNames: { "#key": span.index, "#place": PLACE },
    ExpressionAttributeValues: {
      ":key": { S: span.key },
      ":after": { S: span.after },
      ":end": { S: span.end },
    },
  };
  if (state !== "resolved") return input;
  return {
    ...input,
    FilterExpression: "#expiresAt > :now",
    ExpressionAttributeNames: { ...input.ExpressionAttributeNames, "#expiresAt": EXPIRES_AT },
    ExpressionAttributeValues: { ...input.ExpressionAttributeValues, ":now": { N: String(now) } },
  };
}

/** Where to go on. A cursor beyond the end comes from a wider query: then the page starts at the end as usual. */
function startOf({ index, key, end, cursor }: Span): Item | undefined {
  if (cursor === undefined || cursor >= end) return undefined;
  return { ...keyOf(idAt(cursor), LETTER), [index]: { S: key }, [PLACE]: { S: cursor } };
}
