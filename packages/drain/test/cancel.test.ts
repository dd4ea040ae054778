/** Cancelling a job that no worker has in hand. */
import { expect, test } from "vitest";
import { createCancel, type CancellingPool, type JobView, type LeftJob } from "../src/index.ts";
import { newData, NOW } from "./fakes.ts";

test("a job whose worker vanished leaves nothing reserved when it is taken out of its lane", async () => {
  const data = newData();
  const steps: string[] = [];
  const settled: LeftJob[] = [];
  const pool: CancellingPool = {
    lanes: ["bulk"],
    outcomes: {
      put: async ({ outcome }) => {
        steps.push(outcome);
        return true;
      },
    },
    cancels: { request: async () => "first" },
    left: {
      settleAll: async (job) => {
        steps.push("settled");
        settled.push(job);
      },
    },
    polls: { find: async () => undefined, failedSet: "polls:failed" },
    lane: () => ({
      failedSet: "lane:failed",
      find: async () => ({ state: "delayed", data, attemptsMade: 1, fetched: 7, stalls: 2 }),
      withdraw: async () => {
        steps.push("withdrawn");
        return true;
      },
    }),
  };
  const times = { acceptedAt: data.acceptedAt, deadlineAt: data.deadlineAt, attempts: 1 };
  const view: JobView = { id: data.id, state: "delayed", ...times };
  const cancel = createCancel({
    pools: new Map([["pool", pool]]),
    find: async () => view,
    clock: () => NOW,
  });
  expect(await cancel("acme", data.id)).toBe("cancelled");
  expect(steps).toEqual(["cancelled", "settled", "withdrawn"]);
  expect(settled).toEqual([{ id: data.id, fetched: 7, stalls: 2 }]);
});
