/** What the reconciler makes of each thing a crash may leave behind. */
import { replayId, type JobData, type Outcome, type SluiceEvents } from "@sluice/job";
import { describe, expect, test, vi } from "vitest";
import { Reconciler } from "../src/index.ts";
import { newData } from "./fakes.ts";

const NOW = 1_000_000;

interface Given {
  /** The claim's lease is over. */
  readonly stale: boolean;
  readonly outcome?: Outcome["outcome"];
  /** What the lane knows of the job. */
  readonly state?: string;
  readonly fails?: boolean;
}

function world({ stale, outcome, state, fails = false }: Given) {
  const data = newData();
  const jobId = replayId(data.id, 1);
  const added: JobData[] = [];
  const resolved: string[] = [];
  const claims: object[] = [];
  const events: [keyof SluiceEvents, object][] = [];
  const ended: Outcome | undefined =
    outcome === undefined
      ? undefined
      : outcome === "dead"
        ? {
            outcome,
            id: jobId,
            tenant: "acme",
            acceptedAt: 1,
            endedAt: 2,
            attempts: 1,
            failure: { kind: "terminal", errorClass: "X", message: "" },
          }
        : { outcome: "cancelled", id: jobId, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
  const reconciler = new Reconciler({
    lanes: [
      {
        pool: data.pool,
        lane: data.lane,
        deadlineMs: 30_000,
        outcomes: { get: async () => ended },
        find: async () => (state === undefined ? undefined : { state }),
        add: async (job) => void added.push(job),
      },
    ],
    letters: {
      async replaying() {
        if (fails) throw new Error("no answer");
        return {
          items: [{ id: data.id, replays: 1, claim: { jobId, leaseUntil: stale ? NOW - 1 : NOW + 1 } }],
        };
      },
      async claim(_id, command) {
        claims.push(command);
        return { outcome: "claimed", data: { ...data, id: jobId } };
      },
      async resolve(id) {
        if (fails) throw new Error("no answer");
        resolved.push(id);
      },
    },
    emit: (name, event) => void events.push([name, event]),
    clock: () => NOW,
    random: () => 0.5,
    everyMs: 10,
  });
  return { data, jobId, reconciler, added, resolved, claims, events };
}

describe("a sweep", () => {
  test("leaves a claim alone whose owner may still be at it", async () => {
    const { reconciler, added, resolved } = world({ stale: false });
    expect(await reconciler.sweep()).toBe(0);
    expect({ added, resolved }).toEqual({ added: [], resolved: [] });
  });

  test("takes over a claim whose lease ran out, under the same id", async () => {
    const { reconciler, added, claims, jobId } = world({ stale: true });
    expect(await reconciler.sweep()).toBe(1);
    expect(claims).toEqual([{ by: "reconciler", replays: 1, leaseMs: 60_000 }]);
    expect(added).toMatchObject([{ id: jobId, acceptedAt: NOW }]);
  });

  test.each(["waiting", "delayed", "active", "failed", "unknown"])(
    "does not touch a replay that its lane knows as %s",
    async (state) => {
      const { reconciler, added, claims } = world({ stale: true, state });
      expect(await reconciler.sweep()).toBe(0);
      expect({ added, claims }).toEqual({ added: [], claims: [] });
    },
  );

  test.each([true, false])(
    "resolves a replay that ended unheard (lease over: %s), and does not run it again",
    async (stale) => {
      const { reconciler, added, resolved, jobId } = world({ stale, outcome: "cancelled" });
      expect(await reconciler.sweep()).toBe(1);
      expect({ added, resolved }).toEqual({ added: [], resolved: [jobId] });
    },
  );

  test("resolves a replay of which only the lane still knows that it completed", async () => {
    const { reconciler, resolved, jobId } = world({ stale: true, state: "completed" });
    await reconciler.sweep();
    expect(resolved).toEqual([jobId]);
  });

  test("leaves a replay that died to the mover", async () => {
    const { reconciler, added, resolved } = world({ stale: true, outcome: "dead" });
    expect(await reconciler.sweep()).toBe(0);
    expect({ added, resolved }).toEqual({ added: [], resolved: [] });
  });

  test("tells of a store that does not answer, and comes back", async () => {
    const { reconciler, events } = world({ stale: true, fails: true });
    reconciler.start();
    await vi.waitFor(() => expect(events.length).toBeGreaterThan(1));
    await reconciler.stop();
    expect(events[0]).toEqual(["worker:error", { part: "reconciler", error: "Error: no answer" }]);
  });
});

describe("a job that ended here", () => {
  test("resolves its letter if it was a replay", async () => {
    const { reconciler, resolved, jobId, data } = world({ stale: false });
    reconciler.ended(jobId);
    reconciler.ended(data.id);
    reconciler.ended("not-one-of-ours");
    await reconciler.stop();
    expect(resolved).toEqual([jobId]);
  });

  test("does not fail when the store does", async () => {
    const { reconciler, events, jobId } = world({ stale: false, fails: true });
    reconciler.ended(jobId);
    await reconciler.stop();
    expect(events).toEqual([["worker:error", { part: "reconciler", error: "Error: no answer" }]]);
  });
});
