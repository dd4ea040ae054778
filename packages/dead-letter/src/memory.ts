/** A dead letter store in this process, for tests and for trying things out. Gone with the process. */
import type { JobData } from "@sluice/job";
import { createStore } from "./engine.ts";
import { indexKeys, placeOf, spanOf, type CountQuery } from "./query.ts";
import { isExpired, type Letter } from "./record.ts";
import type { Stored } from "./storage.ts";
import type { DeadLetterStore, StoreOptions } from "./store.ts";

/** Makes a store that holds everything in memory and otherwise behaves as the one on DynamoDB. */
export function createMemoryStore(options: StoreOptions = {}): DeadLetterStore {
  const stored = new Map<string, Stored<JobData>>();
  const classes = new Set<string>();

  function matches(query: CountQuery & { cursor?: string }, now: number): Letter[] {
    const { index, key, after, end, cursor = end } = spanOf(query);
    return [...stored.values()]
      .map(({ letter }) => letter)
      .filter((letter) => indexKeys(letter)[index] === key && !isExpired(letter, now))
      .filter((letter) => {
        const place = placeOf(letter);
        return place > after && place < end && place < cursor;
      })
      .toSorted((a, b) => (placeOf(a) < placeOf(b) ? 1 : -1));
  }

  return createStore<JobData>(
    {
      letters: {
        load: async (id) => structuredClone(stored.get(id)),
        save: async (next, seen) => {
          const { id, failure } = next.letter;
          if (stored.get(id)?.letter.revision !== seen) return false;
          classes.add(failure.errorClass);
          stored.set(id, structuredClone(next));
          return true;
        },
        remove: async (id, seen) => stored.get(id)?.letter.revision === seen && stored.delete(id),
      },
      index: {
        list: async (query, now) => {
          const found = matches(query, now);
          const items = structuredClone(found.slice(0, query.limit));
          const last = items.at(-1);
          return last === undefined || found.length === items.length
            ? { items }
            : { items, cursor: placeOf(last) };
        },
        count: async (query, now) => matches(query, now).length,
        classes: async () => [...classes].toSorted(),
      },
      bodies: {
        seal: async (_id, data) => structuredClone(data),
        open: async (_id, body) => structuredClone(body),
        expire: async () => undefined,
        drop: async () => undefined,
        disposal: async () => async () => undefined,
      },
    },
    options,
  );
}
