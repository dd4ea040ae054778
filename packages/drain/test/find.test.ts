import type { Failure, Outcome } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { createFind, type JobView, type ReadingPool } from "../src/index.ts";
import { answer, newData } from "./fakes.ts";

type LaneJob = Awaited<ReturnType<ReturnType<ReadingPool["lane"]>["find"]>>;

const data = newData();
const { id } = data;
const ended = { id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
const failure: Failure = { kind: "terminal", errorClass: "ValidationException", message: "no" };
const completed: Outcome = { ...ended, outcome: "completed", answer };
const dead: Outcome = { ...ended, outcome: "dead", failure };

/** `outcomes` in the order in which they are read; the last one stays. */
function finder(
  world: {
    outcomes?: (Outcome | undefined)[];
    job?: LaneJob;
    polled?: LaneJob;
    letter?: { tenant: string; failure: Failure };
  } = {},
): (tenant: string, jobId: string) => Promise<JobView | undefined> {
  const outcomes = [...(world.outcomes ?? [])];
  const pool: ReadingPool = {
    lanes: ["bulk"],
    outcomes: { get: async () => (outcomes.length > 1 ? outcomes.shift() : outcomes[0]) },
    lane: () => ({ find: async () => world.job }),
    polls: { find: async () => world.polled },
  };
  return createFind({ pools: new Map([["pool", pool]]), deadLetters: { get: async () => world.letter } });
}

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
    expect(await finder({ letter: { tenant: "acme", failure } })("acme", id)).toEqual({
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
    ["is a dead letter", { letter: { tenant: "acme", failure } }],
  ])("does not find another tenant's job that %s", async (_what, found) => {
    expect(await finder(found)("globex", id)).toBeUndefined();
  });
});
