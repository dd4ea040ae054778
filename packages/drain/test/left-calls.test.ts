/** What a killed worker's calls hold of the quota is settled, on whatever way their job goes on or ends. */
import { describe, expect, test } from "vitest";
import { LeftCalls, type HeldQuota, type LeftJob, type Settlement } from "../src/index.ts";
import { NOTHING } from "../src/settlement.ts";
import { answer, answered, go, newData, NOW, world, type Script, type World } from "./fakes.ts";

const CUT = { requests: 1, tokens: 77 };

const heldBy = (id: string, fetched: number): HeldQuota => ({
  reservation: `${id}/${fetched}/pool`,
  ifLost: CUT,
});

/** What was settled of the job, in order: of which fetch, and for how much. */
const settledOf = (w: World, id: string): unknown[] =>
  w.settlements.filter((each) => each.id.startsWith(id)).map((each) => [each.id.split("/")[1], each.actual]);

test("a call is named in the ledger with what it costs if it is lost, before it is sent", async () => {
  const w = world();
  const data = newData();
  await w.through(data, { attemptsStarted: 4 });
  expect(w.begun).toEqual([{ reservation: `${data.id}/4/pool`, ifLost: {} }]);
});

test("a suspect that is put off has settled its lost call before, for what it costs", async () => {
  const call = Promise.withResolvers<undefined>();
  const victim = newData();
  const left = [heldBy(victim.id, 2)];
  const w = world({
    ledger: (id) => go({ call: 3, lost: 2, left: id === victim.id ? left : [] }),
    call: async () => {
      await call.promise;
      return answered;
    },
  });
  const together = Array.from({ length: 8 }, async () => w.through(newData(), { stalls: 2 }));
  await expect.poll(() => w.log.filter((entry) => entry === "model.call")).toHaveLength(8);
  // It came back many times: what its call held has a name all the same.
  expect(await w.through(victim, { stalls: 2, attemptsStarted: 40 })).toMatchObject({ how: "deferred" });
  expect(settledOf(w, victim.id)[0]).toEqual(["2", CUT]);
  expect(w.forgotten).toEqual([`${victim.id}/2/pool`]);
  call.resolve(undefined);
  await Promise.all(together);
});

const ended = (w: World, id: string, how: "completed" | "cancelled", reservation?: string): void => {
  const end = { id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1, reservation };
  w.outcomes.set(id, how === "completed" ? { ...end, outcome: how, answer } : { ...end, outcome: how });
};

const ways: readonly [
  string,
  { script?: Script; begin?: (w: World, id: string) => void; settled: unknown },
][] = [
  ["goes on", { script: {}, settled: ["2", CUT] }],
  ["has had all its calls", { script: { ledger: () => ({ type: "cap", calls: 7, left: [] }) }, settled: [] }],
  ["was cancelled", { script: { cancelRequested: () => true }, settled: ["2", CUT] }],
  [
    "was answered",
    {
      begin: (w, id) => ended(w, id, "completed", `${id}/2/pool`),
      settled: ["2", { requests: 1, tokens: 120 }],
    },
  ],
  [
    "was answered and cancelled",
    { begin: (w, id) => ended(w, id, "cancelled", `${id}/2/pool`), settled: ["2", {}] },
  ],
];

describe("what a vanished worker's call holds is settled when its job", () => {
  test.each(ways)("%s", async (how, { script = {}, begin, settled }) => {
    const data = newData();
    const left = [heldBy(data.id, 2)];
    const isCap = how === "has had all its calls";
    const ledger = isCap ? () => ({ type: "cap", calls: 7, left }) as const : () => go({ lost: 1, left });
    const w = world({ ...script, left: begin === undefined ? left : [], ledger });
    begin?.(w, data.id);
    await w.through(data, { stalls: 1, attemptsStarted: 9 });
    expect(settledOf(w, data.id)[0]).toEqual(isCap ? ["2", CUT] : settled);
  });
});

/** As the mover and the canceller settle, of a job that no worker has in hand. */
function outside(left: readonly HeldQuota[] | Error, gate?: () => void) {
  const settlements: Settlement[] = [];
  const forgotten: string[] = [];
  const errors: unknown[] = [];
  const calls = new LeftCalls({
    pools: ["pool"],
    gateOf: () => ({
      settle: async (settlement) => {
        gate?.();
        settlements.push(settlement);
        return {};
      },
    }),
    ledger: {
      left: async () => {
        if (left instanceof Error) throw left;
        return left;
      },
      forget: async (_id, reservations) => void forgotten.push(...reservations),
    },
    onError: (error) => void errors.push(error),
  });
  return { calls, settlements, forgotten, errors };
}

const leftJob = (part: Partial<LeftJob> = {}): LeftJob => ({ id: "job", fetched: 3, stalls: 1, ...part });

describe("of a job that ends outside of a worker", () => {
  test("the lost call is settled as noted, and a grant that never started as unused", async () => {
    const { calls, settlements, forgotten } = outside([heldBy("job", 1)]);
    await calls.settleAll(leftJob());
    expect(settlements.map(({ id, actual }) => [id, actual])).toEqual([
      ["job/1/pool", CUT],
      ["job/2/pool", NOTHING],
      ["job/3/pool", NOTHING],
    ]);
    expect(forgotten).toEqual(["job/1/pool"]);
  });

  test("nothing is asked when no worker vanished under it", async () => {
    const { calls, settlements } = outside([heldBy("job", 1)]);
    await calls.settleAll(leftJob({ stalls: 0 }));
    expect(settlements).toEqual([]);
  });

  test("what could not be settled is not forgotten, nor settled as unused; nothing is thrown", async () => {
    let asked = 0;
    const { calls, settlements, forgotten, errors } = outside([heldBy("job", 2)], () => {
      if ((asked += 1) === 1) throw new Error("Redis is away");
    });
    await calls.settleAll(leftJob({ fetched: 2 }));
    expect(settlements.map(({ id, actual }) => [id, actual])).toEqual([["job/1/pool", NOTHING]]);
    expect({ forgotten, errors: errors.length }).toEqual({ forgotten: [], errors: 1 });
  });

  test("nothing is settled as unused while nobody can say what was sent", async () => {
    const { calls, settlements, errors } = outside(new Error("Redis is away"));
    await calls.settleAll(leftJob());
    expect({ settlements, errors: errors.length }).toEqual({ settlements: [], errors: 1 });
  });
});

test("a call whose last look is half answered is not left open in the ledger", async () => {
  const stop = new AbortController();
  const w = world({
    cancelRequested: (asked) => {
      if (asked === 1) return false;
      stop.abort();
      throw new Error("Redis is away");
    },
  });
  const { job } = w.hold(newData({ deadlineAt: NOW + 1_000_000 }));
  const turn = await w.drain.take(job, stop.signal);
  await expect(turn?.start()).rejects.toThrow("Redis is away");
  expect(w.log).toContain("ledger.abandon");
});
