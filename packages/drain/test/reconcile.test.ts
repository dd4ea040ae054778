/** What the reconciler makes of each thing a crash may leave behind. */
import { replayId, type JobData, type Outcome, type SluiceEvents } from "@sluice/job";
import { describe, expect, test, vi } from "vitest";
import { Reconciler, type Replaying } from "../src/index.ts";
import { newData } from "./fakes.ts";

const NOW = 1_000_000;

interface Given {
  /** The claim's lease is over. */
  readonly stale: boolean;
  readonly outcome?: Outcome["outcome"];
  /** What the lane knows of the job. */
  readonly state?: string;
  readonly fails?: boolean;
  /** When the replay was claimed first. Default: just now. */
  readonly at?: number;
  readonly addFails?: boolean;
  /** The job's data is not what was written. */
  readonly unreadable?: boolean;
  /** Letters before it. */
  readonly others?: readonly Replaying[];
  readonly outcomeOf?: (id: string) => Outcome | undefined;
  /** Jobs that died lately, by their letters. */
  readonly deaths?: readonly string[];
  /** The state of those letters. Default `dead`. */
  readonly deathState?: string;
  readonly stateOf?: (id: string) => string | undefined;
}

function world({ stale, outcome, state, fails = false, ...more }: Given) {
  const { at = NOW, addFails = false, unreadable = false, others = [], outcomeOf } = more;
  const { deaths = [], deathState = "dead", stateOf = () => state } = more;
  const data = newData();
  const jobId = replayId(data.id, 1);
  const added: JobData[] = [];
  const resolved: string[] = [];
  const claims: object[] = [];
  const released: object[] = [];
  const marked: string[] = [];
  const spans: object[] = [];
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
        outcomes: { get: async (id) => (outcomeOf === undefined || id === jobId ? ended : outcomeOf(id)) },
        find: async (id) => {
          const found = stateOf(id);
          return found === undefined ? undefined : { state: found };
        },
        lineage: { mark: async ({ id }) => void marked.push(id) },
        add: async (job) => {
          if (addFails) throw new Error("Custom Id cannot contain :");
          added.push(job);
        },
      },
    ],
    letters: {
      async replaying() {
        if (fails) throw new Error("no answer");
        return {
          items: [
            ...others,
            {
              id: data.id,
              jobId: data.id,
              replays: 1,
              claim: { jobId, at, leaseUntil: stale ? NOW - 1 : NOW + 1 },
            },
          ],
        };
      },
      async died(_lane, of, span) {
        if (of === "dead") spans.push(span);
        return { items: of === deathState ? deaths.map((id) => ({ jobId: id })) : [] };
      },
      async claim(_id, command) {
        claims.push(command);
        if (unreadable) return { outcome: "refused", reason: "unreadable" };
        return { outcome: "claimed", data: { ...data, id: jobId } };
      },
      async release(id, command) {
        released.push({ id, ...command });
        return { outcome: "done" };
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
  return { data, jobId, reconciler, added, resolved, claims, events, released, marked, spans };
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

  test.each(["waiting", "delayed", "active", "failed"])(
    "does not touch a replay that its lane knows as %s, and notes it",
    async (state) => {
      const { reconciler, added, claims, released, marked, jobId } = world({ stale: true, state });
      expect(await reconciler.sweep()).toBe(0);
      expect({ added, claims, released }).toEqual({ added: [], claims: [], released: [] });
      expect(marked).toEqual([jobId]);
    },
  );

  test("gives up a replay that lies in Redis where nothing will ever run it", async () => {
    const { reconciler, released, data, jobId } = world({ stale: true, state: "unknown" });
    expect(await reconciler.sweep()).toBe(1);
    const note = `${jobId} is in none of the lists of its lane`;
    expect(released).toEqual([{ id: data.id, jobId, by: "reconciler", note }]);
  });

  test("gives up a replay that its lane refuses for good, with the reason, and not at once", async () => {
    const soon = world({ stale: true, addFails: true, at: NOW - 60_000 });
    expect(await soon.reconciler.sweep()).toBe(0);
    expect(soon.released).toEqual([]);
    const { reconciler, released, jobId } = world({ stale: true, addFails: true, at: NOW - 600_000 });
    expect(await reconciler.sweep()).toBe(1);
    const note = `${jobId} cannot be put into its lane: Error: Custom Id cannot contain :`;
    expect(released).toMatchObject([{ jobId, note }]);
  });

  test("gives up a replay whose data nobody can read", async () => {
    const { reconciler, released, jobId } = world({ stale: true, unreadable: true });
    expect(await reconciler.sweep()).toBe(1);
    expect(released).toMatchObject([{ jobId, note: `${jobId}: its data cannot be read` }]);
  });

  test("a letter that cannot be decided about holds up no other", async () => {
    const others = [
      { id: "p.l.x", jobId: "p.l.x", replays: 1, claim: { jobId: "p.l.x.r1", at: NOW, leaseUntil: NOW - 1 } },
    ];
    const { reconciler, added, events, jobId } = world({
      stale: true,
      others,
      outcomeOf: (id) => {
        if (!id.startsWith("p.l.x")) return undefined;
        throw new Error("The outcome of p.l.x.r1 is not of a version that can be read");
      },
    });
    expect(await reconciler.sweep()).toBe(1);
    expect(added).toMatchObject([{ id: jobId }]);
    expect(events).toMatchObject([["worker:error", { part: "reconciler" }]]);
  });

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
    const { reconciler, added, resolved, released } = world({ stale: false, outcome: "dead" });
    expect(await reconciler.sweep()).toBe(0);
    expect({ added, resolved, released }).toEqual({ added: [], resolved: [], released: [] });
  });

  test("gives up a replay whose death was written elsewhere; the store refuses where it was not", async () => {
    const { reconciler, added, released, jobId } = world({ stale: true, outcome: "dead" });
    expect(await reconciler.sweep()).toBe(1);
    expect({ added, released }).toMatchObject({
      added: [],
      released: [{ jobId, note: `${jobId} died: X: ` }],
    });
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
    // Of a letter that a version before stored under a foreign id.
    reconciler.ended("1108.r1");
    await reconciler.stop();
    expect(resolved).toEqual([jobId, "1108.r1"]);
  });

  test("does not fail when the store does", async () => {
    const { reconciler, events, jobId } = world({ stale: false, fails: true });
    reconciler.ended(jobId);
    await reconciler.stop();
    expect(events).toEqual([["worker:error", { part: "reconciler", error: "Error: no answer" }]]);
  });
});

const cancelled = (id: string): Outcome => ({
  outcome: "cancelled",
  id,
  tenant: "acme",
  acceptedAt: 1,
  endedAt: 2,
  attempts: 1,
});

describe("after Redis has lost its last writes", () => {
  test("the letters of that time are compared once, and those whose jobs were answered are resolved", async () => {
    const answered = "p.bulk.answered";
    const { data, reconciler, resolved, spans } = world({
      stale: false,
      deaths: [answered, "p.bulk.dead"],
      outcomeOf: (id) => (id === answered ? cancelled(id) : undefined),
    });
    reconciler.redisChanged([data.pool], { at: 2_000_000, seenAt: 2_000_000 });
    reconciler.redisChanged(["another"], { at: 2_000_000, seenAt: 2_000_000 });
    expect(await reconciler.sweep()).toBe(1);
    expect(await reconciler.sweep()).toBe(0);
    expect(resolved).toEqual([answered]);
    expect(spans).toEqual([{ from: 1_100_000, until: 2_060_000 }]);
  });

  test("the time that is compared begins before Redis went away, and that of two changes is one", async () => {
    const { data, reconciler, spans } = world({ stale: false });
    // Away for an hour and a half; and again, before anybody could look.
    reconciler.redisChanged([data.pool], { at: 9_400_000, seenAt: 4_000_000 });
    reconciler.redisChanged([data.pool], { at: 9_500_000, seenAt: 9_490_000 });
    await reconciler.sweep();
    expect(spans).toEqual([{ from: 3_100_000, until: 9_560_000 }]);
  });

  test("changes that lie apart are compared each by itself", async () => {
    const { data, reconciler, spans } = world({ stale: false });
    for (const at of [1_000_000, 90_000_000, 1_500_000]) {
      reconciler.redisChanged([data.pool], { at, seenAt: at });
    }
    await reconciler.sweep();
    await reconciler.sweep();
    expect(spans).toEqual([
      { from: 89_100_000, until: 90_060_000 },
      { from: 100_000, until: 1_560_000 },
    ]);
  });

  test.each(["parked", "replaying"])("letters that are %s are compared too", async (deathState) => {
    const id = "p.bulk.answered";
    const outcomeOf = (of: string): Outcome | undefined => (of === id ? cancelled(of) : undefined);
    const { data, reconciler, resolved } = world({ stale: false, deaths: [id], deathState, outcomeOf });
    reconciler.redisChanged([data.pool], { at: NOW, seenAt: NOW });
    await reconciler.sweep();
    expect(resolved).toEqual([id]);
  });

  test("a replay that was claimed meanwhile is given up where the life that died was answered", async () => {
    const { data, jobId, reconciler, added, released, resolved } = world({
      stale: true,
      outcomeOf: (id) => (id.endsWith(".r1") ? undefined : cancelled(id)),
    });
    expect(await reconciler.sweep()).toBe(1);
    expect(added).toEqual([]);
    const note = `${jobId} is not needed: ${data.id} was answered after all`;
    expect(released).toEqual([{ id: data.id, jobId, by: "reconciler", note }]);
    expect(resolved).toEqual([data.id]);
  });

  test("a replay that was claimed meanwhile waits for the life that died, and runs if that dies again", async () => {
    let state: string | undefined = "active";
    const { reconciler, jobId, added, claims } = world({
      stale: true,
      stateOf: (id) => (id.endsWith(".r1") ? undefined : state),
    });
    expect(await reconciler.sweep()).toBe(0);
    expect({ added, claims }).toEqual({ added: [], claims: [] });
    state = "failed";
    expect(await reconciler.sweep()).toBe(1);
    expect(added).toMatchObject([{ id: jobId }]);
  });

  test("a job that runs again is kept in mind until it has ended", async () => {
    const id = "p.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3";
    let end: Outcome | undefined;
    const { data, reconciler, resolved } = world({
      stale: false,
      deaths: [id],
      outcomeOf: () => end,
      stateOf: () => (end === undefined ? "active" : undefined),
    });
    reconciler.redisChanged([data.pool], { at: NOW, seenAt: NOW });
    expect(await reconciler.sweep()).toBe(0);
    expect(await reconciler.sweep()).toBe(0);
    end = cancelled(id);
    expect(await reconciler.sweep()).toBe(1);
    expect(resolved).toEqual([id]);
  });

  test("and is settled at once where it ends here", async () => {
    const id = "p.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3";
    const { data, reconciler, resolved } = world({ stale: false, deaths: [id], stateOf: () => "active" });
    reconciler.ended(id);
    expect(resolved).toEqual([]);
    reconciler.redisChanged([data.pool], { at: NOW, seenAt: NOW });
    await reconciler.sweep();
    reconciler.ended(id);
    await reconciler.stop();
    expect(resolved).toEqual([id]);
  });
});
