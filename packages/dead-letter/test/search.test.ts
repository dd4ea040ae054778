/** Several groups and states as one list. */
import { describe, expect, test } from "vitest";
import { createMemoryStore, searchLetters, type FoundPage, type LetterSearch } from "../src/index.ts";
import { death, T0 } from "./given.ts";

const CLASSES = ["ValidationException", "ThrottlingException", "AccessDeniedException"];
const groups = CLASSES.map((errorClass) => ({ errorClass }));

/** A letter a second, the classes in turn; every fifth is parked. */
async function given(count: number) {
  const store = createMemoryStore({ now: () => T0 });
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const errorClass = CLASSES[index % CLASSES.length] ?? "";
    const died = death({
      diedAt: T0 + index * 1_000,
      failure: { kind: "terminal", errorClass, message: `Failure number ${index}` },
    });
    await store.put(died);
    if (index % 5 === 0) await store.park(died.data.id, { by: "ann" });
    ids.unshift(died.data.id);
  }
  return { store, ids };
}

/** All pages of a search, by their cursors. */
async function pages(store: Parameters<typeof searchLetters>[0], search: LetterSearch): Promise<FoundPage[]> {
  const found: FoundPage[] = [];
  let cursor: string | undefined;
  do {
    const page = await searchLetters(store, { ...search, ...(cursor === undefined ? {} : { cursor }) });
    found.push(page);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return found;
}

describe("searchLetters", () => {
  test.each([1, 4, 7, 100])("finds every letter once, newest first, by pages of %i", async (limit) => {
    const { store, ids } = await given(23);
    const found = await pages(store, { groups, states: ["dead", "parked"], limit });
    expect(found.flatMap(({ items }) => items.map(({ id }) => id))).toEqual(ids);
    expect(found.slice(0, -1).every(({ items }) => items.length === limit)).toBe(true);
  });

  test("looks at so many letters and no more, says how far it got, and goes on from there", async () => {
    const { store } = await given(30);
    const found = await pages(store, {
      groups,
      states: ["dead", "parked"],
      limit: 10,
      matches: ({ failure }) => failure.message.endsWith("3"),
      budget: 12,
    });
    expect(found.map(({ lookedAt }) => lookedAt)).toEqual([12, 12, 6]);
    expect(found.map(({ reachedAt }) => reachedAt)).toEqual([T0 + 18_000, T0 + 6_000, T0]);
    const messages = found.flatMap(({ items }) => items.map(({ failure }) => failure.message));
    expect(messages).toEqual(["Failure number 23", "Failure number 13", "Failure number 3"]);
  });

  test("keeps within its times", async () => {
    const { store } = await given(10);
    const [page] = await pages(store, {
      groups,
      states: ["dead", "parked"],
      limit: 100,
      from: T0 + 2_000,
      until: T0 + 4_000,
    });
    expect(page?.items.map(({ diedAt }) => diedAt)).toEqual([T0 + 3_000, T0 + 2_000]);
  });

  test("is complete at once where there is nothing", async () => {
    const { store } = await given(3);
    expect(await searchLetters(store, { groups, states: ["resolved"], limit: 10 })).toEqual({
      items: [],
      lookedAt: 0,
    });
    expect(await searchLetters(store, { groups: [], states: ["dead"], limit: 10 })).toEqual({
      items: [],
      lookedAt: 0,
    });
  });

  test("hands out a cursor when an index shows only letters that have moved", async () => {
    const place = "000001767225600000#claude.standard.01kdxxxxxxxxxxxxxxxxxxxxxx";
    const store = { list: async () => ({ items: [], cursor: place }) };
    expect(await searchLetters(store, { groups, states: ["dead"], limit: 10 })).toEqual({
      items: [],
      lookedAt: 0,
      cursor: place,
    });
  });
});
