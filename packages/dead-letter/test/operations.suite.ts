/** The part of the suite about what operators and replays do to a letter. */
import { replayId } from "@sluice/job";
import { describe, expect, it } from "vitest";
import {
  HISTORY_LIMIT,
  NOTE_LIMIT,
  type DeadLetterStore,
  type Death,
  type StoreOptions,
} from "../src/index.ts";
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

const CLAIM = { by: "ann", replays: 0, leaseMs: MINUTE };

/** The death of the `replay`-th replay of a job. */
function again(died: Death, replay: number, diedAt: number): Death {
  return { ...died, data: { ...died.data, id: replayId(died.data.id, replay) }, diedAt };
}

export function operationsSuite(makeStore: (options?: StoreOptions) => DeadLetterStore): void {
  async function withDeath(given: Parameters<typeof death>[0] = {}, options?: StoreOptions) {
    const store = makeStore(options);
    const died = death(given);
    await store.put(died);
    return { store, died, id: died.data.id };
  }

  describe("claim", () => {
    it("hands over the data under the id of the replay", async () => {
      const clock = clockAt(T0 + HOUR);
      const { store, died, id } = await withDeath({}, clock);
      const claimed = await store.claim(id, CLAIM);
      expect(claimed).toMatchObject({
        outcome: "claimed",
        data: { ...died.data, id: `${id}.r1` },
        letter: { state: "replaying", replays: 1 },
      });
      expect(await store.get(id)).toMatchObject({
        state: "replaying",
        replays: 1,
        claim: { jobId: `${id}.r1`, by: "ann", at: T0 + HOUR, leaseUntil: T0 + HOUR + MINUTE },
        history: [{ event: "died" }, { event: "claimed", by: "ann", jobId: `${id}.r1` }],
      });
    });

    it("is won once however often it is asked", async () => {
      const { store, id } = await withDeath();
      const claims = await Promise.all(Array.from({ length: 20 }, () => store.claim(id, CLAIM)));
      expect(claims.filter(({ outcome }) => outcome === "claimed")).toHaveLength(1);
      expect(await store.get(id)).toMatchObject({ replays: 1 });
    });

    it("is refused to a reader who has not seen the latest replay", async () => {
      const { store, died, id } = await withDeath();
      await store.claim(id, CLAIM);
      await store.put(again(died, 1, T0 + HOUR));
      expect(await store.claim(id, CLAIM)).toEqual({ outcome: "refused", reason: "changed" });
      expect(await store.claim(id, { ...CLAIM, replays: 1 })).toMatchObject({
        outcome: "claimed",
        data: { id: `${id}.r2` },
      });
    });

    it("goes to another owner under the same job id when the lease has run out", async () => {
      const clock = clockAt(T0);
      const { store, id } = await withDeath({}, clock);
      await store.claim(id, CLAIM);
      const takeover = { by: "reconciler", replays: 1, leaseMs: MINUTE };
      expect(await store.claim(id, takeover)).toEqual({ outcome: "refused", reason: "state" });
      clock.advance(MINUTE);
      const claims = await Promise.all(Array.from({ length: 5 }, () => store.claim(id, takeover)));
      const won = claims.filter(({ outcome }) => outcome === "claimed");
      expect(won).toHaveLength(1);
      expect(won[0]).toMatchObject({ data: { id: `${id}.r1` }, letter: { claim: { by: "reconciler" } } });
      expect(await store.get(id)).toMatchObject({ replays: 1, claim: { leaseUntil: T0 + 2 * MINUTE } });
    });

    it("finds nothing to claim where nothing died", async () => {
      const refused = { outcome: "refused", reason: "not-found" };
      expect(await makeStore().claim(death().data.id, CLAIM)).toEqual(refused);
    });

    it.each([0, -1, 1.5])("refuses a lease of %d ms", async (leaseMs) => {
      await expect(makeStore().claim("x", { ...CLAIM, leaseMs })).rejects.toThrow(/Expected `leaseMs`/);
    });
  });

  describe("release", () => {
    const note = "Its lane does not take it";

    it("gives up a claim: dead again, with the reason, and the next replay has the next number", async () => {
      const clock = clockAt(T0);
      const { store, died, id } = await withDeath({}, clock);
      await store.claim(id, CLAIM);
      const command = { jobId: `${id}.r1`, by: "reconciler", note };
      // Whoever has claimed it may still be at it.
      expect(await store.release(id, command)).toEqual({ outcome: "refused", reason: "state" });
      clock.advance(MINUTE);
      expect(await store.release(id, command)).toMatchObject({ outcome: "done", letter: { state: "dead" } });
      const letter = await store.get(id);
      expect(letter).toMatchObject({ state: "dead", deaths: 1, replays: 1, failure: died.failure });
      expect(letter?.history.at(-1)).toEqual({ event: "noted", at: T0 + MINUTE, by: "reconciler", note });
      expect(letter).not.toHaveProperty("claim");
      expect(await store.claim(id, { ...CLAIM, replays: 1 })).toMatchObject({ data: { id: `${id}.r2` } });
    });

    it("is its owner's at any time, and nobody's where another replay is claimed by now", async () => {
      const { store, id } = await withDeath();
      await store.claim(id, CLAIM);
      const own = { jobId: `${id}.r1`, by: "ann", note };
      expect(await store.release(id, { ...own, jobId: `${id}.r2` })).toEqual({
        outcome: "refused",
        reason: "changed",
      });
      expect(await store.release(id, own)).toMatchObject({ outcome: "done" });
      expect(await store.release(id, own)).toEqual({ outcome: "refused", reason: "state" });
    });

    it("does not lose the answer of a replay that ran all the same", async () => {
      const { store, id } = await withDeath();
      await store.claim(id, CLAIM);
      await store.release(id, { jobId: `${id}.r1`, by: "ann", note });
      expect(await store.resolve(`${id}.r1`)).toMatchObject({
        outcome: "done",
        letter: { state: "resolved" },
      });
    });
  });

  describe("look", () => {
    it("tells everything of a letter but its data", async () => {
      const { store, id } = await withDeath();
      const { data: _, ...letter } = (await store.get(id)) ?? {};
      expect(await store.look(`${id}.r1`)).toEqual(letter);
      expect(await store.look("nothing")).toBeUndefined();
    });
  });

  describe("a letter under an id that is not ours", () => {
    it("is replayed, dies again and is resolved like any other", async () => {
      const id = `1108-${Math.random()}`.replace("0.", "");
      const { store, died } = await withDeath({ data: { id } });
      expect(await store.claim(id, CLAIM)).toMatchObject({ data: { id: `${id}.r1` } });
      await store.put(again(died, 1, T0 + HOUR));
      expect(await store.get(id)).toMatchObject({ state: "dead", deaths: 2, replays: 1 });
      await store.claim(id, { ...CLAIM, replays: 1 });
      expect(await store.resolve(`${id}.r2`)).toMatchObject({ outcome: "done", letter: { id } });
    });
  });

  describe("resolve", () => {
    it("ends the replay that was claimed, for as long as letters are kept", async () => {
      const clock = clockAt(T0);
      const tenant = tenantOf("resolve");
      const { store, id } = await withDeath({ data: { tenant } }, { ...clock, retentionMs: HOUR });
      await store.claim(id, CLAIM);
      expect(await store.resolve(`${id}.r1`)).toMatchObject({
        outcome: "done",
        letter: { state: "resolved", expiresAt: T0 + HOUR },
      });
      expect(await store.resolve(`${id}.r1`)).toEqual({ outcome: "already-done" });
      const resolved = { state: "resolved", by: { tenant } } as const;
      expect(await store.count(resolved)).toBe(1);
      clock.advance(HOUR);
      expect(await store.get(id)).toBeUndefined();
      expect(await store.count(resolved)).toBe(0);
      expect(await store.list({ ...resolved, limit: 10 })).toEqual({ items: [] });
      expect(await store.resolve(`${id}.r1`)).toEqual({ outcome: "refused", reason: "not-found" });
    });

    it("ends a letter whose job completed although it had been moved", async () => {
      const { store, id } = await withDeath();
      expect(await store.resolve(id)).toMatchObject({ outcome: "done", letter: { state: "resolved" } });
    });

    it("takes no answer of an earlier life for that of the replay", async () => {
      const { store, id } = await withDeath();
      await store.claim(id, CLAIM);
      expect(await store.resolve(id)).toEqual({ outcome: "refused", reason: "changed" });
      expect(await store.resolve(`${id}.r2`)).toEqual({ outcome: "refused", reason: "changed" });
      expect(await store.get(id)).toMatchObject({ state: "replaying" });
    });

    it("takes no answer of an earlier life for that of a replay that died", async () => {
      const { store, died, id } = await withDeath();
      await store.claim(id, CLAIM);
      await store.put(again(died, 1, T0 + HOUR));
      expect(await store.resolve(id)).toEqual({ outcome: "refused", reason: "changed" });
      expect(await store.resolve(`${id}.r1`)).toMatchObject({ outcome: "done" });
      expect(await store.resolve(id)).toEqual({ outcome: "refused", reason: "state" });
    });

    it("leaves large data readable", async () => {
      const { store, died, id } = await withDeath({ data: { payload: incompressiblePayload(500_000) } });
      await store.claim(id, CLAIM);
      await store.resolve(`${id}.r1`);
      expect((await store.get(id))?.data).toEqual(died.data);
    });
  });

  describe("dying again", () => {
    it("returns the replay's letter to the dead", async () => {
      const { store, died, id } = await withDeath();
      await store.claim(id, CLAIM);
      expect(await store.put(again(died, 1, T0 + HOUR))).toBe("stored");
      const found = await store.get(id);
      expect(found).toMatchObject({ state: "dead", deaths: 2, replays: 1, jobId: `${id}.r1` });
      expect(found).not.toHaveProperty("claim");
    });

    it("takes nothing from a replay when an earlier life dies meanwhile", async () => {
      const { store, died, id } = await withDeath();
      const { revision = "" } = (await store.get(id)) ?? {};
      await store.edit(id, { by: "ann", revision, payload: requestPayload("Better") });
      await store.claim(id, CLAIM);
      expect(await store.put({ ...died, diedAt: T0 + HOUR })).toBe("stored");
      const found = await store.get(id);
      expect(found).toMatchObject({ state: "replaying", deaths: 2, claim: { jobId: `${id}.r1` } });
      expect(found?.data.payload).toEqual(requestPayload("Better"));
    });

    it("brings a resolved letter back, without an end", async () => {
      const { store, died, id } = await withDeath({}, { ...clockAt(T0), retentionMs: HOUR });
      await store.resolve(id);
      await store.put({ ...died, diedAt: T0 + 1 });
      const found = await store.get(id);
      expect(found).toMatchObject({ state: "dead", deaths: 2 });
      expect(found).not.toHaveProperty("expiresAt");
    });
  });

  describe("park and note", () => {
    it("sets a letter aside and takes it back, each told in the history", async () => {
      const tenant = tenantOf("park");
      const { store, id } = await withDeath({ data: { tenant } });
      expect(await store.park(id, { by: "ann", note: "Ask legal" })).toMatchObject({ outcome: "done" });
      expect(await store.park(id, { by: "bob" })).toEqual({ outcome: "already-done" });
      expect(await store.count({ state: "parked", by: { tenant } })).toBe(1);
      expect(await store.count({ state: "dead", by: { tenant } })).toBe(0);
      expect(await store.unpark(id, { by: "bob" })).toMatchObject({ letter: { state: "dead" } });
      expect((await store.get(id))?.history).toMatchObject([
        { event: "died" },
        { event: "parked", by: "ann", note: "Ask legal" },
        { event: "unparked", by: "bob" },
      ]);
    });

    it("lets a parked letter be replayed, and no replaying one be parked", async () => {
      const { store, id } = await withDeath();
      await store.park(id, { by: "ann" });
      expect(await store.claim(id, CLAIM)).toMatchObject({ outcome: "claimed" });
      expect(await store.park(id, { by: "ann" })).toEqual({ outcome: "refused", reason: "state" });
      expect(await store.unpark(id, { by: "ann" })).toEqual({ outcome: "refused", reason: "state" });
    });

    it("keeps the first and the newest entries of a long history", async () => {
      const { store, id } = await withDeath();
      // The longest notes there can be, in bytes: the letter still fits into its item.
      const note = "€".repeat(NOTE_LIMIT - 4);
      for (let n = 1; n <= HISTORY_LIMIT + 3; n++) await store.note(id, { by: "ann", note: `${n} ${note}` });
      const history = (await store.get(id))?.history ?? [];
      expect(history).toHaveLength(HISTORY_LIMIT);
      expect(history[0]).toMatchObject({ event: "died" });
      expect(history.at(-1)).toMatchObject({ event: "noted", note: `${HISTORY_LIMIT + 3} ${note}` });
    });

    it("refuses a note or a name that is too long, or none", async () => {
      const { store, id } = await withDeath();
      const note = "x".repeat(NOTE_LIMIT + 1);
      await expect(store.note(id, { by: "ann", note })).rejects.toThrow(/Expected `note`/);
      await expect(store.note(id, { by: "", note: "x" })).rejects.toThrow(/Expected `by`/);
      expect((await store.get(id))?.history).toHaveLength(1);
    });
  });

  describe("edit", () => {
    it("replaces the request and nothing else of the job", async () => {
      const { store, died, id } = await withDeath({ data: { payload: incompressiblePayload(500_000) } });
      const { revision = "" } = (await store.get(id)) ?? {};
      const payload = requestPayload("Shorter");
      expect(await store.edit(id, { by: "ann", revision, payload })).toMatchObject({ outcome: "done" });
      expect((await store.get(id))?.data).toEqual({ ...died.data, payload });
      expect(await store.claim(id, CLAIM)).toMatchObject({ data: { payload } });
    });

    it("is refused to an editor who saw an older revision, and while a replay runs", async () => {
      const { store, id } = await withDeath();
      const { revision = "" } = (await store.get(id)) ?? {};
      const edit = { by: "ann", revision, payload: requestPayload("Mine") };
      await store.note(id, { by: "bob", note: "Looking at it" });
      expect(await store.edit(id, edit)).toEqual({ outcome: "refused", reason: "changed" });
      await store.claim(id, CLAIM);
      expect(await store.edit(id, edit)).toEqual({ outcome: "refused", reason: "state" });
      expect((await store.get(id))?.data.payload).toEqual(requestPayload("Summarise this"));
    });

    it("keeps data that was edited to what it was, at the time it died", async () => {
      const { store, died, id } = await withDeath(
        { data: { payload: incompressiblePayload(500_000) } },
        clockAt(T0),
      );
      const { revision = "" } = (await store.get(id)) ?? {};
      await store.edit(id, { by: "ann", revision, payload: died.data.payload });
      expect((await store.get(id))?.data).toEqual(died.data);
    });
  });

  describe("purge", () => {
    it("deletes the record for good, and a later death starts anew", async () => {
      const tenant = tenantOf("purge");
      const { store, died, id } = await withDeath({
        data: { tenant, payload: incompressiblePayload(500_000) },
      });
      const { revision = "" } = (await store.get(id)) ?? {};
      expect(await store.purge(id, { revision })).toMatchObject({ outcome: "done" });
      expect(await store.get(id)).toBeUndefined();
      expect(await store.count({ state: "dead", by: { tenant } })).toBe(0);
      expect(await store.purge(id, { revision })).toEqual({ outcome: "refused", reason: "not-found" });
      expect(await store.put({ ...died, diedAt: T0 + HOUR })).toBe("stored");
      expect(await store.get(id)).toMatchObject({ deaths: 1 });
    });

    it("is refused on an older revision, and while a replay runs", async () => {
      const { store, id } = await withDeath();
      expect(await store.purge(id, { revision: "older" })).toEqual({ outcome: "refused", reason: "changed" });
      const claimed = await store.claim(id, CLAIM);
      const revision = claimed.outcome === "claimed" ? claimed.letter.revision : "";
      expect(await store.purge(id, { revision })).toEqual({ outcome: "refused", reason: "state" });
    });
  });

  describe("preview", () => {
    const payload = requestPayload("Dear  diary,\n\ntoday I met 👩‍👩‍👧 in town");

    it("is not stored unless asked for", async () => {
      const { store, id } = await withDeath({ data: { payload } });
      expect(await store.get(id)).not.toHaveProperty("preview");
    });

    it("is the first characters of the prompt on one line, and follows an edit", async () => {
      const { store, id } = await withDeath({ data: { payload } }, { preview: { length: 27 } });
      const found = await store.get(id);
      expect(found?.preview).toBe("Dear diary, today I met 👩‍👩‍👧 …");
      const edited = requestPayload("Short");
      await store.edit(id, { by: "ann", revision: found?.revision ?? "", payload: edited });
      expect((await store.get(id))?.preview).toBe("Short");
    });

    it("is left out when the request cannot be read", async () => {
      const unreadable = { encoding: "json", json: '{"surprise":' } as const;
      const { store, id } = await withDeath({ data: { payload: unreadable } }, { preview: { length: 50 } });
      const found = await store.get(id);
      expect(found).not.toHaveProperty("preview");
      expect(found?.data.payload).toEqual(unreadable);
    });

    it.each([0, 501, 1.5])("refuses a length of %d", (length) => {
      expect(() => makeStore({ preview: { length } })).toThrow(/Expected `preview.length`/);
    });
  });
}
