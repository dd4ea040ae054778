/** What every dead letter store does. Run against each implementation. */
import { replayId } from "@sluice/job";
import { describe, expect, it } from "vitest";
import type { DeadLetterStore, Letter, ListQuery, StoreOptions } from "../src/index.ts";
import {
  clockAt,
  death,
  HOUR,
  incompressiblePayload,
  MINUTE,
  requestPayload,
  T0,
  tenantOf,
} from "./given.ts";
import { operationsSuite } from "./operations.suite.ts";

/** @param makeStore a store on storage that other tests may be using too. */
export function deadLetterStoreSuite(makeStore: (options?: StoreOptions) => DeadLetterStore): void {
  operationsSuite(makeStore);

  describe("put and get", () => {
    it("keeps the job, how it died and where it belongs", async () => {
      const clock = clockAt(T0 + 1_000);
      const store = makeStore(clock);
      const died = death({ attempts: 2, stalls: 1 });
      expect(await store.put(died)).toBe("stored");
      const found = await store.get(died.data.id);
      expect(found).toMatchObject({
        id: died.data.id,
        jobId: died.data.id,
        state: "dead",
        tenant: "acme",
        pool: "claude",
        lane: "standard",
        failure: died.failure,
        attempts: 2,
        stalls: 1,
        deaths: 1,
        replays: 0,
        diedAt: T0,
        firstDiedAt: T0,
        updatedAt: T0 + 1_000,
      });
      expect(found?.data).toEqual(died.data);
      expect(found?.history).toEqual([
        {
          event: "died",
          at: T0,
          jobId: died.data.id,
          errorClass: "ValidationException",
          message: "The input is too long",
        },
      ]);
    });

    it("stores a death once, also when two movers bury it at once", async () => {
      const store = makeStore();
      const died = death();
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => store.put(died)));
      expect(outcomes.toSorted()).toEqual([...Array(4).fill("already-stored"), "stored"]);
      expect(await store.put(died)).toBe("already-stored");
      expect(await store.get(died.data.id)).toMatchObject({ deaths: 1 });
    });

    it("writes a later death on the same record", async () => {
      const store = makeStore();
      const first = death();
      const failure = {
        kind: "transient",
        errorClass: "ModelTimeoutException",
        message: "Too slow",
      } as const;
      const data = { ...first.data, id: replayId(first.data.id, 1) };
      const second = { ...first, data, failure, diedAt: T0 + HOUR };
      await store.put(first);
      expect(await store.put(second)).toBe("stored");
      expect(await store.put(second)).toBe("already-stored");
      expect(await store.put(first)).toBe("already-stored");
      const found = await store.get(first.data.id);
      expect(found).toMatchObject({
        id: first.data.id,
        jobId: data.id,
        deaths: 2,
        diedAt: T0 + HOUR,
        firstDiedAt: T0,
        failure,
      });
      expect(found?.data.id).toBe(data.id);
      expect(await store.get(data.id)).toEqual(found);
    });

    it("records a new death of the same job id at another time", async () => {
      const store = makeStore();
      const first = death();
      await store.put(first);
      expect(await store.put({ ...first, diedAt: T0 + 1 })).toBe("stored");
      expect(await store.get(first.data.id)).toMatchObject({ deaths: 2 });
    });

    it("counts every death when different ones arrive at once", async () => {
      const store = makeStore();
      const first = death({ data: { payload: incompressiblePayload(400_000) } });
      const deaths = [0, 1, 2, 3].map((later) => ({ ...first, diedAt: T0 + later }));
      await Promise.all(deaths.map((each) => store.put(each)));
      const found = await store.get(first.data.id);
      expect(found?.deaths).toBe(4);
      expect(found?.data).toEqual(first.data);
    });

    it("keeps a message and a preview that were cut through a surrogate pair", async () => {
      const store = makeStore({ preview: { length: 20 } });
      const failure = { kind: "terminal", errorClass: "ValidationException", message: "Bad \ud83d" } as const;
      const died = death({ failure, data: { payload: requestPayload("cut \ud83d") } });
      expect(await store.put(died)).toBe("stored");
      expect(await store.get(died.data.id)).toMatchObject({
        failure: { message: "Bad \ufffd" },
        history: [{ message: "Bad \ufffd" }],
        preview: "cut \ufffd",
      });
      expect(await store.put(died)).toBe("already-stored");
    });

    it("knows nothing of an id that never died", async () => {
      const store = makeStore();
      expect(await store.get(death().data.id)).toBeUndefined();
      for (const id of ["not one of ours", "", "x".repeat(3_000)])
        expect(await store.get(id)).toBeUndefined();
    });

    it.each([
      ["text of 1 MiB", requestPayload("word ".repeat(210_000))],
      ["1 MiB that does not compress", incompressiblePayload(786_432)],
      ["half a surrogate pair", requestPayload("cut off \ud83d")],
      ["emoji, quotes, control characters", requestPayload(`👩‍👩‍👧 "\u0000\u001b[31m\u2028</script>`)],
    ])("gives back what it was given: %s", async (_, payload) => {
      const store = makeStore();
      const died = death({ data: { payload } });
      await store.put(died);
      expect((await store.get(died.data.id))?.data).toEqual(died.data);
    });
  });

  describe("list and count", () => {
    it("finds letters by class, by lane and by tenant, newest death first", async () => {
      const store = makeStore();
      const tenant = tenantOf("groups");
      const pool = tenantOf("pool");
      const errorClass = `Class${Math.random().toString(36).slice(2, 10)}`;
      const failure = { kind: "terminal", errorClass, message: "No" } as const;
      const ids: string[] = [];
      for (const minute of [0, 2, 1]) {
        const died = death({ data: { tenant, pool, lane: "bulk" }, failure, diedAt: T0 + minute * MINUTE });
        await store.put(died);
        ids[minute] = died.data.id;
      }
      for (const by of [{ tenant }, { errorClass }, { lane: { pool, lane: "bulk" } }]) {
        const page = await store.list({ state: "dead", by, limit: 10 });
        expect(page.items.map(({ id }) => id)).toEqual(ids.toReversed());
        expect(page.cursor).toBeUndefined();
        expect(await store.count({ state: "dead", by })).toBe(3);
        expect(await store.count({ state: "parked", by })).toBe(0);
      }
      expect(await store.count({ state: "dead", by: { lane: { pool, lane: "critical" } } })).toBe(0);
      expect(await store.classes()).toContain(errorClass);
    });

    it("pages through letters of one instant, each once", async () => {
      const store = makeStore();
      const tenant = tenantOf("pages");
      const ids = await Promise.all(
        Array.from({ length: 23 }, async () => {
          const died = death({ data: { tenant } });
          await store.put(died);
          return died.data.id;
        }),
      );
      const pages = await allPages(store, { state: "dead", by: { tenant }, limit: 5 });
      expect(pages.map(({ length }) => length)).toEqual([5, 5, 5, 5, 3]);
      expect(pages.flat().map(({ id }) => id)).toEqual(ids.toSorted().toReversed());
    });

    it("goes on after a cursor whose letter has gone, and ignores letters that came since", async () => {
      const store = makeStore();
      const tenant = tenantOf("cursor");
      const deaths = [0, 1, 2, 3].map((minute) => death({ data: { tenant }, diedAt: T0 + minute * MINUTE }));
      for (const each of deaths) await store.put(each);
      const query = { state: "dead", by: { tenant }, limit: 2 } as const;
      const first = await store.list(query);
      await store.park(first.items[1]?.id ?? "", { by: "ann" });
      await store.put(death({ data: { tenant }, diedAt: T0 + HOUR }));
      const second = await store.list({ ...query, ...(first.cursor && { cursor: first.cursor }) });
      expect(second.items.map(({ id }) => id)).toEqual([deaths[1]?.data.id, deaths[0]?.data.id]);
    });

    it("keeps to a span of time: from included, until not", async () => {
      const store = makeStore();
      const tenant = tenantOf("span");
      for (const minute of [0, 1, 2, 3]) {
        await store.put(death({ data: { tenant }, diedAt: T0 + minute * MINUTE }));
      }
      const query = {
        state: "dead",
        by: { tenant },
        from: T0 + MINUTE,
        until: T0 + 3 * MINUTE,
      } as const;
      const pages = await allPages(store, { ...query, limit: 1 });
      expect(pages.flat().map(({ diedAt }) => diedAt)).toEqual([T0 + 2 * MINUTE, T0 + MINUTE]);
      expect(await store.count(query)).toBe(2);
    });

    it("lists no prompts", async () => {
      const store = makeStore();
      const tenant = tenantOf("private");
      await store.put(death({ data: { tenant, payload: requestPayload("a secret") } }));
      const page = await store.list({ state: "dead", by: { tenant }, limit: 1 });
      expect(JSON.stringify(page)).not.toContain("secret");
      expect(page.items[0]).not.toHaveProperty("data");
    });

    it.each([0, 101, 1.5, Number.NaN])("refuses a limit of %d", async (limit) => {
      await expect(makeStore().list({ state: "dead", by: { tenant: "acme" }, limit })).rejects.toThrow(
        /Expected `limit` to be a whole number from 1 to 100/,
      );
    });

    it("goes on with a cursor of another span of time", async () => {
      const store = makeStore();
      const tenant = tenantOf("respan");
      for (const minute of [0, 1, 2, 3]) {
        await store.put(death({ data: { tenant }, diedAt: T0 + minute * MINUTE }));
      }
      const query = { state: "dead", by: { tenant }, limit: 2 } as const;
      const { cursor = "" } = await store.list(query);
      const later = await store.list({ ...query, cursor, from: T0 + 3 * MINUTE });
      expect(later).toEqual({ items: [] });
      const earlier = await store.list({ ...query, cursor, until: T0 + MINUTE });
      expect(earlier.items.map(({ diedAt }) => diedAt)).toEqual([T0]);
    });

    it.each([{ from: -1 }, { until: Number.NaN }, { from: 0.5 }])(
      "refuses times that are none: %o",
      async (span) => {
        await expect(makeStore().count({ state: "dead", by: { tenant: "acme" }, ...span })).rejects.toThrow(
          /to be whole milliseconds since the epoch/,
        );
      },
    );

    it("refuses a cursor it never handed out", async () => {
      const query = { state: "dead", by: { tenant: "acme" }, limit: 1, cursor: "x" } as const;
      await expect(makeStore().list(query)).rejects.toThrow(RangeError);
    });
  });
}

async function allPages(store: DeadLetterStore, query: ListQuery): Promise<(readonly Letter[])[]> {
  const pages: (readonly Letter[])[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ ...query, ...(cursor === undefined ? {} : { cursor }) });
    if (page.items.length > 0) pages.push(page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return pages;
}
