/** Replays over a store and lanes in memory: claimed once, paced by lane, told honestly. */
import type { JobData, Outcome } from "@sluice/job";
import { describe, expect, test, vi } from "vitest";
import { Replayer, type LetterRef, type ReplayResult } from "../src/index.ts";
import { newData } from "./fakes.ts";

interface Kept {
  data: JobData;
  replays: number;
  state: "dead" | "replaying";
  unreadable?: boolean;
}

function endOf(id: string, outcome: string): Outcome {
  const end = { id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
  if (outcome !== "dead") return { ...end, outcome: "cancelled" };
  return { ...end, outcome, failure: { kind: "terminal", errorClass: "X", message: "" } };
}

interface Given {
  readonly perLane?: number;
  readonly letters?: number;
  readonly addFails?: boolean;
  /** Redis does not tell what became of a job, and takes one all the same. */
  readonly redisAway?: boolean;
  /** How the job ended, where its lane has it, and where the polls do. */
  readonly outcome?: string;
  readonly found?: string;
  readonly polled?: string;
}

const NOTHING: Given = {};

/** Letters of one pool with two lanes; `now` moves only by hand. */
function world({ perLane = 20, letters = 1, addFails = false, redisAway = false, ...redis } = NOTHING) {
  const { outcome = "", found = "", polled = "" } = redis;
  let now = 1_000_000;
  const kept = new Map<string, Kept>();
  const lanes = new Map<string, JobData[]>();
  const marked: string[] = [];
  const resolved: string[] = [];
  let counts = 0;
  let away = false;

  const add = (lane: string): LetterRef => {
    const data = { ...newData(), lane, acceptedAt: 1_000, deadlineAt: 61_000 };
    data.id = `${data.pool}.${lane}.${data.id.split(".")[2] ?? ""}`;
    kept.set(data.id, { data, replays: 0, state: "dead" });
    return { id: data.id, jobId: data.id, pool: data.pool, lane, replays: 0 };
  };
  const refs = Array.from({ length: letters }, () => add("bulk"));
  const pool = refs[0]?.pool ?? "pool";

  const replayer = new Replayer({
    letters: {
      async claim(id, { replays }) {
        if (away) throw new Error("no answer");
        const letter = kept.get(id);
        if (letter === undefined) return { outcome: "refused", reason: "not-found" };
        if (letter.replays !== replays) return { outcome: "refused", reason: "changed" };
        if (letter.state !== "dead") return { outcome: "refused", reason: "state" };
        if (letter.unreadable === true) return { outcome: "refused", reason: "unreadable" };
        Object.assign(letter, { state: "replaying", replays: replays + 1 });
        return { outcome: "claimed", data: { ...letter.data, id: `${id}.r${replays + 1}` } };
      },
      async resolve(id) {
        resolved.push(id);
      },
      async count({ by }) {
        if (away) throw new Error("no answer");
        counts += 1;
        return [...kept.values()].filter(
          ({ state, data }) => state === "replaying" && data.lane === by.lane.lane,
        ).length;
      },
    },
    pools: new Map([
      [
        pool,
        {
          lanes: ["bulk", "critical"],
          deadlineMs: 30_000,
          lineage: { mark: async ({ id }) => void marked.push(id) },
          outcomes: {
            async get(id) {
              if (redisAway) throw new Error("Redis is away");
              return outcome === "" ? undefined : endOf(id, outcome);
            },
          },
          polls: { find: async () => (polled === "" ? undefined : { state: polled }) },
          lane: (name) => ({
            find: async () => (found === "" ? undefined : { state: found }),
            async add(job) {
              if (addFails) throw new Error("Redis is away");
              lanes.set(name, [...(lanes.get(name) ?? []), job]);
            },
          }),
        },
      ],
    ]),
    perLane,
    waitMs: 2,
    clock: () => now,
    monotonic: () => now,
  });
  return {
    refs,
    add,
    replayer,
    kept,
    inLane: (name = "bulk") => lanes.get(name) ?? [],
    counts: () => counts,
    marked,
    resolved,
    pass: (ms: number) => void (now += ms),
    setAway: (value: boolean) => void (away = value),
    end: (id: string) => Object.assign(kept.get(id) ?? {}, { state: "dead" }),
  };
}

const ignore = { onResult: () => {}, onTrouble: () => {} };

describe("one", () => {
  test("puts what the claim handed over into the job's own lane, with a new deadline", async () => {
    const { refs, replayer, inLane, marked } = world();
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    const jobId = `${ref.id}.r1`;
    expect(await replayer.one(ref, "ann")).toEqual({ outcome: "queued", id: ref.id, jobId });
    expect(marked).toEqual([jobId]);
    // As long as its first life, which was longer than the pool's deadline.
    expect(inLane()).toMatchObject([{ id: jobId, acceptedAt: 1_000_000, deadlineAt: 1_060_000 }]);
  });

  test("wins once, however often it is asked at the same time", async () => {
    const { refs, replayer, inLane } = world();
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    const results = await Promise.all(Array.from({ length: 10 }, async () => replayer.one(ref, "ann")));
    expect(results.filter(({ outcome }) => outcome === "queued")).toHaveLength(1);
    expect(inLane()).toHaveLength(1);
  });

  test("starts an async call anew", async () => {
    const { refs, replayer, kept, inLane } = world();
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    const letter = kept.get(ref.id);
    if (letter !== undefined) letter.data = { ...letter.data, invocation: { arn: "arn:x", startedAt: 1 } };
    await replayer.one(ref, "ann");
    expect(inLane()[0]).not.toHaveProperty("invocation");
  });

  test("says that the claim stands when Redis did not take the job", async () => {
    const { refs, replayer, kept } = world({ addFails: true });
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    expect(await replayer.one(ref, "ann")).toMatchObject({ outcome: "claimed", jobId: `${ref.id}.r1` });
    expect(kept.get(ref.id)?.state).toBe("replaying");
  });

  test("claims, and adds nothing, while Redis does not tell what became of the life that died", async () => {
    const { refs, replayer, kept, inLane } = world({ redisAway: true });
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    expect(await replayer.one(ref, "ann")).toMatchObject({
      outcome: "claimed",
      error: "Error: Redis is away",
    });
    expect(kept.get(ref.id)?.state).toBe("replaying");
    expect(inLane()).toEqual([]);
  });

  test("refuses a letter whose async call is under way again: its lane has it as completed", async () => {
    const { refs, replayer } = world({ found: "completed", polled: "delayed" });
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    expect(await replayer.one(ref, "ann")).toMatchObject({ outcome: "refused", reason: "under-way" });
  });

  test("refuses a letter whose job was answered after all, and resolves it: Redis had lost the death", async () => {
    const { refs, replayer, kept, resolved } = world({ outcome: "cancelled" });
    const [ref] = refs;
    if (ref === undefined) throw new Error("Expected a letter");
    expect(await replayer.one(ref, "ann")).toMatchObject({ outcome: "refused", reason: "answered" });
    expect(resolved).toEqual([ref.id]);
    expect(kept.get(ref.id)?.state).toBe("dead");
  });

  test("refuses a letter whose job is under way again, and replays one whose death is on record", async () => {
    const alive = world({ found: "waiting" });
    const [ref] = alive.refs;
    if (ref === undefined) throw new Error("Expected a letter");
    expect(await alive.replayer.one(ref, "ann")).toMatchObject({ outcome: "refused", reason: "under-way" });
    const dead = world({ found: "failed", outcome: "dead" });
    const [other] = dead.refs;
    if (other === undefined) throw new Error("Expected a letter");
    expect(await dead.replayer.one(other, "ann")).toMatchObject({ outcome: "queued" });
  });

  test("refuses a lane that the pools file no longer has, and does not claim", async () => {
    const { add, replayer, kept } = world();
    const ref = add("gone");
    expect(await replayer.one(ref, "ann")).toMatchObject({ outcome: "refused", reason: "no-lane" });
    expect(kept.get(ref.id)?.state).toBe("dead");
  });

  test("refuses a lane that holds as many replays as it may, until one of them ends", async () => {
    const { refs, replayer, pass, end } = world({ perLane: 2, letters: 3 });
    const results: ReplayResult[] = [];
    for (const ref of refs) results.push(await replayer.one(ref, "ann"));
    expect(results.map(({ outcome }) => outcome)).toEqual(["queued", "queued", "refused"]);
    const [first, , third] = refs;
    if (first === undefined || third === undefined) throw new Error("Expected letters");
    end(first.id);
    pass(1_000);
    expect(await replayer.one(third, "ann")).toMatchObject({ outcome: "queued" });
  });
});

describe("run", () => {
  test("never has more than so many replays in a lane, and gets through them all", async () => {
    const { refs, replayer, kept, pass, end } = world({ perLane: 3, letters: 10 });
    const replaying = () => [...kept.entries()].filter(([, { state }]) => state === "replaying");
    let most = 0;
    let done = 0;
    const run = replayer.run(refs, {
      ...ignore,
      by: "ann",
      signal: new AbortController().signal,
      onResult: () => {
        done += 1;
        most = Math.max(most, replaying().length);
      },
    });
    for (const full of [3, 6, 9, 10]) {
      await vi.waitFor(() => expect(done).toBe(full));
      for (const [id] of replaying()) end(id);
      pass(1_000);
    }
    await run;
    expect({ most, done }).toEqual({ most: 3, done: 10 });
  });

  test("does not let a full lane hold up another", async () => {
    const { refs, add, replayer, inLane } = world({ perLane: 1, letters: 5 });
    const urgent = add("critical");
    const stop = new AbortController();
    const run = replayer.run([...refs, urgent], {
      ...ignore,
      by: "ann",
      signal: stop.signal,
      onResult: ({ id }) => {
        if (id === urgent.id) stop.abort();
      },
    });
    await run;
    expect(inLane("critical")).toHaveLength(1);
    expect(inLane("bulk")).toHaveLength(1);
  });

  test("passes over what nobody can read, instead of asking for it for ever", async () => {
    const { refs, replayer, kept, inLane } = world({ letters: 2 });
    const [broken, sound] = refs;
    Object.assign(kept.get(broken?.id ?? "") ?? {}, { unreadable: true });
    const results: ReplayResult[] = [];
    await replayer.run(refs, {
      ...ignore,
      by: "ann",
      signal: AbortSignal.timeout(2_000),
      onResult: (result) => void results.push(result),
    });
    expect(results).toMatchObject([
      { outcome: "refused", id: broken?.id, reason: "unreadable" },
      { outcome: "queued", id: sound?.id },
    ]);
    expect(inLane()).toHaveLength(1);
  });

  test("of three runs over the same letters, each tells of what it replays itself", async () => {
    const { refs, replayer, inLane } = world({ letters: 9 });
    const runs = await Promise.all(
      ["ann", "ben", "cleo"].map(async (by) => {
        const results: ReplayResult[] = [];
        const onResult = (result: ReplayResult): void => void results.push(result);
        // Ticked twice, or named by two of its ids.
        await replayer.run([...refs, ...refs], {
          ...ignore,
          by,
          signal: new AbortController().signal,
          onResult,
        });
        return results;
      }),
    );
    expect(runs.map(({ length }) => length)).toEqual([9, 9, 9]);
    const queued = runs.flat().filter(({ outcome }) => outcome === "queued");
    expect(queued.map(({ id }) => id).toSorted()).toEqual(refs.map(({ id }) => id).toSorted());
    expect(inLane()).toHaveLength(9);
  });

  test("waits for a store that does not answer, and says so", async () => {
    const { refs, replayer, setAway, inLane } = world();
    setAway(true);
    const troubles: string[] = [];
    const run = replayer.run(refs, {
      ...ignore,
      by: "ann",
      signal: new AbortController().signal,
      onTrouble: (error) => void troubles.push(error),
    });
    await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(1));
    expect(new Set(troubles)).toEqual(new Set(["Error: no answer"]));
    setAway(false);
    await run;
    expect(inLane()).toHaveLength(1);
  });
});
