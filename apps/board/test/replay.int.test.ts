/** A replay from click to end on a real Redis and a real table, and what crashes on the way leave behind. */
import type { ReplayResult } from "@sluice/drain";
import { encodePayload } from "@sluice/job/payload";
import { expect, test } from "vitest";
import { BRIEF_MS, LONG_MS, startReplays } from "./replays.ts";

const run = { by: "ann", signal: new AbortController().signal, onResult: () => {}, onTrouble: () => {} };

test("two operators who click ten times each start one replay; its answer resolves the letter", async () => {
  const { store, lane, dead, next, answer, newReplayer, newReconciler } = await startReplays();
  const letter = await dead();
  const operators = [newReplayer(), newReplayer()];
  const results = await Promise.all(
    Array.from({ length: 20 }, async (_, click) => operators[click % 2]?.one(letter, "ann")),
  );
  expect(results.filter((result) => result?.outcome === "queued")).toHaveLength(1);
  expect(await lane.counts()).toMatchObject({ waiting: 1 });

  const job = await next();
  if (job === undefined) throw new Error("Expected the replay in its lane");
  await answer(job);
  const reconciler = newReconciler();
  reconciler.ended(job.data.id);
  await reconciler.stop();
  expect(await store.get(letter.id)).toMatchObject({ state: "resolved", replays: 1, deaths: 1 });
});

test("a replay that dies returns to its letter, and the next one has the next number", async () => {
  const { store, dead, next, die, newReplayer } = await startReplays();
  const letter = await dead();
  const replayer = newReplayer();
  await replayer.one(letter, "ann");
  const job = await next();
  if (job === undefined) throw new Error("Expected the replay in its lane");
  await die(job);
  expect(await store.get(letter.id)).toMatchObject({ state: "dead", deaths: 2, replays: 1 });

  // A page that was loaded before the second death.
  expect(await replayer.one(letter, "ben")).toMatchObject({ outcome: "refused", reason: "changed" });
  await replayer.one({ ...letter, replays: 1 }, "ben");
  expect((await next())?.data.id).toBe(`${letter.id}.r2`);
});

test("what is replayed is what the letter holds by then: an edit in between counts", async () => {
  const { store, dead, next, newReplayer } = await startReplays();
  const letter = await dead("too long");
  const { revision = "" } = (await store.get(letter.id)) ?? {};
  const payload = await encodePayload({
    messages: [{ role: "user", content: [{ text: "short" }] }],
    maxTokens: 5,
  });
  await store.edit(letter.id, { by: "ann", revision, payload });
  await newReplayer().one(letter, "ann");
  expect((await next())?.data.payload).toEqual(payload);
});

test("a crash between claim and lane: reconcilers of two workers bring the replay in once", async () => {
  const { store, lane, dead, newReconciler } = await startReplays();
  const letter = await dead();
  await store.claim(letter.id, { by: "ann", replays: 0, leaseMs: BRIEF_MS });
  const workers = [newReconciler(), newReconciler()];
  await expect
    .poll(async () => {
      await Promise.all(workers.map(async (worker) => worker.sweep()));
      return (await lane.counts()).waiting;
    })
    .toBe(1);
  await Promise.all(workers.map(async (worker) => worker.sweep()));
  expect(await lane.counts()).toMatchObject({ waiting: 1 });
  expect((await lane.find(`${letter.id}.r1`))?.state).toBe("waiting");
});

test("a claim whose owner is still at it is left alone", async () => {
  const { store, lane, dead, newReconciler } = await startReplays();
  const letter = await dead();
  await store.claim(letter.id, { by: "ann", replays: 0, leaseMs: LONG_MS });
  expect(await newReconciler().sweep()).toBe(0);
  expect(await lane.counts()).toMatchObject({ waiting: 0 });
});

test("a replay that ended and left Redis while nobody listened is resolved, and not run again", async () => {
  const { store, lane, dead, next, answer, newReconciler, newReplayer } = await startReplays();
  const letter = await dead();
  await newReplayer().one(letter, "ann");
  const job = await next();
  if (job === undefined) throw new Error("Expected the replay in its lane");
  await answer(job);
  expect(await lane.find(job.data.id)).toBeUndefined();
  expect(await newReconciler().sweep()).toBe(1);
  expect(await store.get(letter.id)).toMatchObject({ state: "resolved" });
  expect(await lane.counts()).toMatchObject({ waiting: 0 });
});

test("many at once go through their lane a few at a time, each exactly once", async () => {
  const { store, lane, dead, next, answer, newReplayer, newReconciler } = await startReplays({ perLane: 3 });
  const letters = await Promise.all(Array.from({ length: 9 }, async () => dead()));
  const results: ReplayResult[] = [];
  const reconciler = newReconciler();
  const running = newReplayer().run(letters, { ...run, onResult: (result) => results.push(result) });
  const answered: string[] = [];
  let most = 0;
  while (answered.length < letters.length) {
    const { waiting } = await lane.counts();
    most = Math.max(most, waiting);
    const job = await next();
    if (job === undefined) continue;
    await answer(job);
    await store.resolve(job.data.id);
    answered.push(job.data.id);
  }
  await running;
  await reconciler.stop();
  expect(most).toBeLessThanOrEqual(3);
  expect(results.map(({ outcome }) => outcome)).toEqual(letters.map(() => "queued"));
  expect(answered.toSorted()).toEqual(letters.map(({ id }) => `${id}.r1`).toSorted());
  expect(await store.count({ state: "resolved", by: { lane: { pool: "claude", lane: "standard" } } })).toBe(
    9,
  );
});
