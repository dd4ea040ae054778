import type { Failure, Outcome } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { createFind, type JobView, type ReadingPool, type ReadLetter } from "../src/index.ts";
import { answer, newData } from "./fakes.ts";

type LaneJob = Awaited<ReturnType<ReturnType<ReadingPool["lane"]>["find"]>>;

const data = newData();
const { id } = data;
const ended = { id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
const failure: Failure = { kind: "terminal", errorClass: "ValidationException", message: "no" };
const completed: Outcome = { ...ended, outcome: "completed", answer };
const dead: Outcome = { ...ended, outcome: "dead", failure };

/** The letter of a job that has died once. */
const letter: ReadLetter = { tenant: "acme", failure, state: "dead", jobId: id, replays: 0 };

/** `outcomes` of the first life in the order in which they are read; the last one stays. `lives` are its replays. */
function finder(
  world: {
    outcomes?: (Outcome | undefined)[];
    job?: LaneJob;
    polled?: LaneJob;
    letter?: ReadLetter;
    /** The latest replay, as Redis knows it. */
    latest?: number;
    lives?: Readonly<Record<string, { outcome?: Outcome; job?: NonNullable<LaneJob> }>>;
  } = {},
): (tenant: string, jobId: string) => Promise<JobView | undefined> {
  const outcomes = [...(world.outcomes ?? [])];
  const pool: ReadingPool = {
    lanes: ["bulk"],
    deadlineMs: 30_000,
    outcomes: {
      get: async (jobId) => {
        if (jobId !== id) return world.lives?.[jobId]?.outcome;
        return outcomes.length > 1 ? outcomes.shift() : outcomes[0];
      },
    },
    lineage: { latest: async () => world.latest },
    lane: () => ({ find: async (jobId) => (jobId === id ? world.job : world.lives?.[jobId]?.job) }),
    polls: { find: async (jobId) => (jobId === id ? world.polled : undefined) },
  };
  return createFind({ pools: new Map([["pool", pool]]), deadLetters: { look: async () => world.letter } });
}

/** The answer of a replay. */
function replayed(replay: number): Outcome {
  return { ...completed, id: `${id}.r${replay}` };
}

function diedAgain(replay: number): Outcome {
  const again = { ...failure, message: `of replay ${replay}` };
  return { ...ended, outcome: "dead", id: `${id}.r${replay}`, failure: again };
}

describe("find of a job that was replayed", () => {
  const [r1, r2] = [`${id}.r1`, `${id}.r2`];

  test.each(["waiting", "delayed", "active"] as const)("sees the replay that is %s", async (state) => {
    const job = { state, data: { ...data, id: r1 }, attemptsMade: 2 };
    const find = finder({ outcomes: [dead], latest: 1, lives: { [r1]: { job } } });
    expect(await find("acme", id)).toMatchObject({ state, id, replay: 1, attempts: 2 });
  });

  test("has the answer of the replay, asked for by any of its ids", async () => {
    const lives = { [r1]: { outcome: diedAgain(1) }, [r2]: { outcome: replayed(2) } };
    const find = finder({ outcomes: [dead], latest: 2, lives });
    for (const asked of [id, r1, r2]) {
      expect(await find("acme", asked)).toEqual({
        state: "completed",
        id: asked,
        replay: 2,
        outcome: replayed(2),
      });
    }
  });

  test("is dead of what its latest replay died of", async () => {
    const lives = { [r1]: { outcome: diedAgain(1) } };
    const find = finder({ outcomes: [dead], latest: 1, lives });
    expect(await find("acme", id)).toMatchObject({
      state: "dead",
      replay: 1,
      failure: { message: "of replay 1" },
    });
  });

  test("is found by its outcome where a version before did not note it", async () => {
    const lives = { [r1]: { outcome: diedAgain(1) }, [r2]: { outcome: replayed(2) } };
    expect(await finder({ outcomes: [dead], lives })("acme", id)).toMatchObject({
      state: "completed",
      replay: 2,
    });
  });

  test("is found by its letter when nothing of its first life is kept any more", async () => {
    const known: ReadLetter = { ...letter, state: "replaying", replays: 1, claim: { at: 5 } };
    const job = { state: "active" as const, data: { ...data, id: r1 }, attemptsMade: 0 };
    expect(await finder({ letter: known, lives: { [r1]: { job } } })("acme", id)).toMatchObject({
      state: "active",
      replay: 1,
    });
    // Claimed, and not yet in its lane.
    expect(await finder({ letter: known })("acme", id)).toEqual({
      state: "waiting",
      id,
      replay: 1,
      acceptedAt: 5,
      deadlineAt: 30_005,
      attempts: 0,
    });
  });

  test.each(["dead", "parked"] as const)("is dead by its letter, which is %s", async (state) => {
    const known: ReadLetter = { ...letter, state, replays: 2, jobId: r2 };
    expect(await finder({ letter: known })("acme", id)).toEqual({ state: "dead", id, replay: 2, failure });
  });

  test("is not known any more once its answer is forgotten, and never dead after it was answered", async () => {
    const known: ReadLetter = { ...letter, state: "resolved", replays: 1 };
    expect(await finder({ letter: known })("acme", id)).toBeUndefined();
    const lives = { [r1]: { outcome: replayed(1) } };
    expect(await finder({ letter: known, lives })("acme", id)).toMatchObject({ state: "completed" });
  });

  test("does not find a replay that never was", async () => {
    expect(await finder({ letter })("acme", r2)).toBeUndefined();
  });

  test("stays what it was when its letter was deleted", async () => {
    expect(await finder({ outcomes: [dead], latest: 1 })("acme", id)).toMatchObject({
      state: "dead",
      failure,
    });
  });
});

describe("find", () => {
  test.each(["waiting", "delayed", "active"] as const)("sees a job that is %s", async (state) => {
    const find = finder({ job: { state, data, attemptsMade: 1 } });
    const { acceptedAt, deadlineAt } = data;
    expect(await find("acme", id)).toEqual({ state, id, acceptedAt, deadlineAt, attempts: 1 });
  });

  test("sees an async job that Bedrock works on as active, whatever its polls wait for", async () => {
    const started: LaneJob = { state: "completed", data, attemptsMade: 1 };
    const find = finder({ job: started, polled: { state: "delayed", data, attemptsMade: 0 } });
    expect(await find("acme", id)).toMatchObject({ state: "active" });
    expect(await find("globex", id)).toBeUndefined();
  });

  test.each([completed, { ...completed, outcome: "filtered" as const }])(
    "sees a job that is $outcome, with its answer",
    async (outcome) => {
      expect(await finder({ outcomes: [outcome] })("acme", id)).toEqual({
        state: outcome.outcome,
        id,
        outcome,
      });
    },
  );

  test("sees a job that is dead, by its tombstone", async () => {
    expect(await finder({ outcomes: [dead] })("acme", id)).toEqual({ state: "dead", id, failure });
  });

  test("sees a job that is dead and still waits for the mover", async () => {
    const find = finder({ job: { state: "failed", data, attemptsMade: 3 } });
    expect(await find("acme", id)).toEqual({ state: "dead", id, failure: undefined });
  });

  test("sees a job that is dead for longer than outcomes are kept", async () => {
    expect(await finder({ letter })("acme", id)).toEqual({
      state: "dead",
      id,
      failure,
    });
  });

  test.each([
    ["its lane forgot it", undefined],
    ["its lane calls it completed", { state: "completed", data, attemptsMade: 1 } satisfies LaneJob],
  ] as const)("sees a job that ended between two reads: %s", async (_what, job) => {
    const find = finder({ outcomes: [undefined, completed], job });
    expect(await find("acme", id)).toMatchObject({ state: "completed" });
  });

  test.each([
    ["is not one of ours", "17"],
    ["names a pool that is not ours", id.replace("pool.", "other.")],
    ["names a lane that is not the pool's", id.replace(".bulk.", ".fast.")],
    ["nobody knows", id],
  ])("does not find an id that %s", async (_what, unknown) => {
    expect(await finder()("acme", unknown)).toBeUndefined();
  });

  test.each([
    ["waits", { job: { state: "waiting", data, attemptsMade: 0 } satisfies LaneJob }],
    ["is dead, not yet moved", { job: { state: "failed", data, attemptsMade: 0 } satisfies LaneJob }],
    [
      "is dead and unreadable",
      { job: { state: "failed", data: { version: 9 }, attemptsMade: 0 } satisfies LaneJob },
    ],
    ["is completed", { outcomes: [completed] }],
    ["ended between two reads", { outcomes: [undefined, completed] }],
    ["is dead", { outcomes: [dead] }],
    ["is a dead letter", { letter }],
    ["is replayed", { outcomes: [dead], latest: 1, lives: { [`${id}.r1`]: { outcome: replayed(1) } } }],
  ])("does not find another tenant's job that %s", async (_what, found) => {
    expect(await finder(found)("globex", id)).toBeUndefined();
  });
});
