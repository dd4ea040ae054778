import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { CallLedger, Heartbeat } from "../src/index.ts";
import { heartbeatKeys } from "../src/keys.ts";
import { member, untilFree } from "./fleet.ts";
import { completed, id } from "./samples.ts";

const call = { id, maxCalls: 3, leaseMs: 60_000 };
const held = (n: number) => ({ reservation: `${id}/${n}/p`, ifLost: { tokens: n } });

/** Leave to make the `n`-th call. */
const go = (n: number, rest: object = {}) => ({
  type: "go",
  call: n,
  lost: 0,
  left: [],
  unnamed: false,
  ...rest,
});

describe("a call", () => {
  test("of 50 workers that ask for one job is granted to one", async () => {
    const space = testKeySpace();
    const fleet = await Promise.all(Array.from({ length: 5 }, async () => member(space)));
    const asked = await Promise.all(
      Array.from({ length: 10 }, () => fleet)
        .flat()
        .map(async ({ ledger, owner }) => ledger.begin({ ...call, owner })),
    );
    expect(asked).toHaveLength(50);
    expect(asked.filter(({ type }) => type === "go")).toEqual([go(1)]);
    expect(asked.filter(({ type }) => type === "busy")).toHaveLength(49);
  });

  test("in flight blocks others for as long as its owner may live", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    const refused = await b.ledger.begin({ ...call, owner: b.owner });
    expect(refused.type === "busy" && refused.retryAfterMs).toBeGreaterThan(29_000);
    expect(refused.type === "busy" && refused.retryAfterMs).toBeLessThanOrEqual(30_000);
  });

  test("that is over may be followed by another, until the job has had them all", async () => {
    const a = await member(testKeySpace());
    for (const n of [1, 2, 3]) {
      expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual(go(n));
      expect(await a.ledger.end({ id, owner: a.owner })).toBe(true);
    }
    expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual({ type: "cap", calls: 3, left: [] });
  });

  test("that was never sent does not count, however often that is said", async () => {
    const a = await member(testKeySpace());
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.ledger.end({ id, owner: a.owner });
    expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual(go(2));
    expect(await a.ledger.abandon({ id, owner: a.owner })).toBe(true);
    expect(await a.ledger.abandon({ id, owner: a.owner })).toBe(false);
    expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual(go(2));
  });

  test("that Redis has brought back, since it lost the last writes, is denied by its owner and may be made again", async () => {
    const space = testKeySpace();
    const redis = testRedis("command");
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner, held: held(1) });
    const key = `${space}:ledger:${id}`;
    const before = await redis.dumpBuffer(key);
    await a.ledger.end({ id, owner: a.owner });
    await redis.restore(key, 0, before ?? "", "REPLACE");
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
    expect(await b.ledger.answerDoubts(b.owner)).toEqual([]);
    expect(await a.ledger.answerDoubts(a.owner)).toEqual([id]);
    expect(await b.ledger.begin({ ...call, owner: b.owner })).toEqual(
      // And so was its reservation.
      go(2, { left: [held(1)] }),
    );
  });

  test("that begins while one that Redis brought back is denied stays known, and is confirmed", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    a.ledger.closed(id);
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
    // Both are on their way at once, the denial first.
    const send = a.redis.sendCommand.bind(a.redis);
    let begun: Promise<unknown> | undefined;
    const spy = vi.spyOn(a.redis, "sendCommand").mockImplementation((command, stream) => {
      const sent = send(command, stream);
      if (command.name === "evalsha") {
        spy.mockRestore();
        begun = a.ledger.begin({ ...call, owner: a.owner });
      }
      return sent;
    });
    expect(await a.ledger.answerDoubts(a.owner)).toEqual([id]);
    expect(await begun).toMatchObject({ type: "go", call: 2 });
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
    expect(await a.ledger.answerDoubts(a.owner)).toEqual([]);
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
  });

  test("is not ended by a denial of the one before it that comes late", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    a.ledger.closed(id);
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
    const send = a.redis.sendCommand.bind(a.redis);
    const late = async (...sent: Parameters<typeof send>): Promise<unknown> => {
      // As after a connection that broke: the denial is sent again.
      await a.ledger.end({ id, owner: a.owner });
      expect(await a.ledger.begin({ ...call, owner: a.owner })).toMatchObject({ type: "go", call: 2 });
      return send(...sent);
    };
    const spy = vi.spyOn(a.redis, "sendCommand").mockImplementation((command, stream) => {
      if (command.name !== "evalsha") return send(command, stream);
      spy.mockRestore();
      return late(command, stream);
    });
    expect(await a.ledger.answerDoubts(a.owner)).toEqual([]);
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
  });

  test("that others wait for is confirmed by its owner while it has it", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    for (let asked = 0; asked < 2; asked += 1) {
      // Also a second question of the owner's own, for a job that came to it twice.
      expect((await a.ledger.begin({ ...call, owner: a.owner })).type).toBe("busy");
      expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
      expect(await a.ledger.answerDoubts(a.owner)).toEqual([]);
    }
    await a.ledger.end({ id, owner: a.owner });
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("go");
  });

  test("of a process that said goodbye may be repeated at once", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.heartbeat.stop();
    expect(await b.ledger.begin({ ...call, owner: b.owner })).toEqual(go(2, { lost: 1, unnamed: true }));
  });

  test("of a process that was killed may be repeated when its heartbeat has expired, not before", async () => {
    const space = testKeySpace();
    const times = { ttlMs: 900 };
    const [a, b] = [await member(space, times), await member(space, times)];
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.crash();
    const killedAt = Date.now();
    expect((await untilFree(b, call)).answer).toEqual(go(2, { lost: 1, unnamed: true }));
    // The last beat was at most a sixth of the time to live before the kill.
    expect(Date.now() - killedAt).toBeGreaterThan(700);
  });

  test("that its live owner never closed blocks the job until its lease is over", async () => {
    const a = await member(testKeySpace());
    await a.ledger.begin({ ...call, leaseMs: 200, owner: a.owner });
    const refused = await a.ledger.begin({ ...call, owner: a.owner });
    expect(refused.type).toBe("busy");
    await sleep(refused.type === "busy" ? refused.retryAfterMs : 0);
    expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual(go(2, { lost: 1, unnamed: true }));
  });

  test("is refused to a process whose heartbeat nobody hears", async () => {
    const space = testKeySpace();
    const redis = testRedis("command");
    const { owner } = new Heartbeat({ redis, keySpace: space, onError: () => {} });
    const asked = await new CallLedger({ redis, keySpace: space }).begin({ ...call, owner });
    expect(asked).toEqual({ type: "busy", retryAfterMs: 1_000 });
  });

  test("is left to its owner while nobody has been heard since a gap: silence proves nothing then", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space, { graceMs: 5_000 })];
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.heartbeat.stop();
    // What a gap does, and no beat is due for 5 s.
    await b.redis.del(`${space}:heartbeat:since`);
    const asked = await b.ledger.begin({ ...call, owner: b.owner });
    expect(asked).toEqual({ type: "busy", retryAfterMs: 5_000 });
  });

  test("whose owner was taken for dead cannot close the call of the next one", async () => {
    const space = testKeySpace();
    const [a, b, c] = [await member(space), await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.heartbeat.stop();
    await b.ledger.begin({ ...call, owner: b.owner });
    expect(await a.ledger.end({ id, owner: a.owner })).toBe(false);
    expect(await a.ledger.abandon({ id, owner: a.owner })).toBe(false);
    expect((await c.ledger.begin({ ...call, owner: c.owner })).type).toBe("busy");
  });
});

describe("what a call holds", () => {
  test("is told once its owner is dead, to everybody who asks until it is forgotten", async () => {
    const space = testKeySpace();
    const [a, b, c] = [await member(space), await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner, held: held(1) });
    expect((await b.ledger.begin({ ...call, owner: b.owner })).type).toBe("busy");
    await a.heartbeat.stop();
    // One that only reads the request, and puts the job off.
    expect(await b.ledger.begin({ ...call, owner: b.owner })).toEqual(go(2, { lost: 1, left: [held(1)] }));
    await b.ledger.abandon({ id, owner: b.owner });
    expect(await c.ledger.begin({ ...call, owner: c.owner, held: held(3) })).toEqual(
      go(2, { lost: 1, left: [held(1)] }),
    );
    await c.ledger.forget(id, [held(1).reservation]);
    expect(await c.ledger.left(id)).toEqual([held(3)]);
    await c.ledger.end({ id, owner: c.owner });
    expect(await c.ledger.left(id)).toEqual([]);
  });

  test("is told with the last refusal, too", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, maxCalls: 1, owner: a.owner, held: held(1) });
    await a.heartbeat.stop();
    const asked = await b.ledger.begin({ ...call, maxCalls: 1, owner: b.owner });
    expect(asked).toEqual({ type: "cap", calls: 1, left: [held(1)] });
  });

  test("is told of a call that a program of the version before has taken over", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner, held: held(1) });
    await a.heartbeat.stop();
    await b.redis.hset(`${space}:ledger:${id}`, { calls: 2, lost: 1, owner: "old", run: "old", lease: 0 });
    expect(await b.ledger.begin({ ...call, owner: b.owner })).toEqual(
      go(3, { lost: 2, left: [held(1)], unnamed: true }),
    );
  });
});

describe("an outcome put with its call closed", () => {
  test("ends the job in one step: 40 asks while it is put see a call in flight or the end, never a free job", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    const asks = Array.from({ length: 40 }, async (_, n) => {
      if (n === 20) await a.outcomes.putAndClose(completed, a.owner);
      return (await b.ledger.begin({ ...call, owner: b.owner })).type;
    });
    expect(new Set(await Promise.all(asks))).toEqual(new Set(["busy", "ended"]));
    expect(await b.outcomes.get(id)).toEqual(completed);
  });

  test("is kept once, and leaves nothing of the entry", async () => {
    const space = testKeySpace();
    const a = await member(space);
    await a.ledger.begin({ ...call, owner: a.owner });
    expect(await a.outcomes.putAndClose(completed, a.owner)).toBe(true);
    expect(await a.outcomes.putAndClose({ ...completed, attempts: 7 }, a.owner)).toBe(false);
    expect(await a.outcomes.get(id)).toEqual(completed);
    expect(await a.redis.exists(`${space}:ledger:${id}`)).toBe(0);
  });

  test("by an owner that was taken for dead is kept: it was paid. The call of the next owner stays its own", async () => {
    const space = testKeySpace();
    const [a, b] = [await member(space), await member(space)];
    await a.ledger.begin({ ...call, owner: a.owner });
    await a.heartbeat.stop();
    await b.ledger.begin({ ...call, owner: b.owner });
    expect(await a.outcomes.putAndClose(completed, a.owner)).toBe(true);
    expect(await b.ledger.begin({ ...call, owner: b.owner })).toEqual({ type: "ended" });
    expect(await b.outcomes.putAndClose(completed, b.owner)).toBe(false);
    expect(await b.redis.exists(`${space}:ledger:${id}`)).toBe(0);
  });

  test("ends the job also when it was put without: by the sweeper, by the mover", async () => {
    const a = await member(testKeySpace());
    await a.outcomes.put(completed);
    expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual({ type: "ended" });
  });
});

test("every key has a time to live", async () => {
  const space = testKeySpace();
  const a = await member(space);
  await a.ledger.begin({ ...call, owner: a.owner });
  const keys = await a.redis.keys(`${space}:*`);
  expect(keys).toHaveLength(3);
  for (const key of keys) expect(await a.redis.pttl(key)).toBeGreaterThan(0);
});

test("a Redis whose clock was set back does not keep the dead alive for as long", async () => {
  const space = testKeySpace();
  const times = { ttlMs: 1_200, graceMs: 200 };
  const [dead, alive] = [await member(space, times), await member(space, times)];
  await dead.ledger.begin({ ...call, owner: dead.owner });
  await dead.crash();
  // What a clock that is set back by ten minutes leaves.
  const [owners, since] = heartbeatKeys(space);
  for (const owner of [dead.owner, alive.owner]) await alive.redis.zincrby(owners, 600_000, owner);
  await alive.redis.set(since, String(Date.now() + 590_000), "PX", 600_000);
  await alive.redis.pexpire(owners, 600_000);
  const asked = performance.now();
  const { answer } = await untilFree(alive, call);
  expect(answer).toMatchObject({ type: "go", call: 2, lost: 1 });
  expect(performance.now() - asked).toBeLessThan(10_000);
});
