/** Workers of one pool whose pools files differ: none takes a lane from another, and the latest file is in force. */
import { randomUUID } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { createRedisLimiter, defaults, type LaneLimits, type OperableLimiter } from "../src/index.ts";
import { poolKeys } from "../src/keys.ts";
import { POOL, START } from "./harness.ts";

const redis = connect(inject("redisUrl"), "command", () => undefined);
afterAll(() => redis.disconnect());

const lane = (name: string, share = 0.05): LaneLimits => ({ name, horizonMs: 250, reserveMs: 0, share });

const file = (names: readonly string[], tokensPerMinute = 60_000) => ({
  quota: { tokensPerMinute },
  lanes: names.map((name) => lane(name)),
});

/** One lane with more than half of the quota to itself. */
const shared = (name: string) => ({ quota: { tokensPerMinute: 60_000 }, lanes: [lane(name, 0.6)] });

/** A fleet on one clock; each worker has a limiter of its own. */
function fleet() {
  const space = keySpace("limits-files", randomUUID());
  const clock = { ms: START };
  const worker = (): OperableLimiter => createRedisLimiter({ redis, keySpace: space, now: () => clock.ms });
  return { space, clock, worker };
}

const asks = async (limiter: OperableLimiter, name: string) =>
  limiter.admit({ pool: POOL, lane: name, id: randomUUID(), job: "j", cost: { tokens: 1 }, ttlMs: 60_000 });

async function inForce(limiter: OperableLimiter) {
  const { limits, lanes } = await limiter.inspect(POOL);
  expect(lanes.map(({ name }) => name)).toEqual(limits.lanes?.map(({ name }) => name));
  return { lanes: lanes.map(({ name }) => name), tokensPerMinute: limits.quota.tokensPerMinute };
}

describe("of several pools files", () => {
  it("the latest is in force, with the lanes that only an older one has behind its own", async () => {
    const { worker } = fleet();
    const [older, newer] = [worker(), worker()];
    await older.configure(POOL, file(["a", "gone"]));
    await newer.configure(POOL, file(["new", "a"], 90_000));
    expect(await inForce(older)).toEqual({ lanes: ["new", "a", "gone"], tokensPerMinute: 90_000 });
    expect(await asks(older, "gone")).toMatchObject({ type: "granted" });
    expect(await asks(newer, "new")).toMatchObject({ type: "granted" });
  });

  it("an older one stays older when its workers start again, and takes nobody's lane", async () => {
    const { worker, clock } = fleet();
    const newer = worker();
    await worker().configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a", "b"], 90_000));
    const { version } = await newer.inspect(POOL);
    for (let restart = 0; restart < 3; restart++) {
      clock.ms += 50_000;
      await newer.configure(POOL, file(["a", "b"], 90_000));
      await worker().configure(POOL, file(["a"]));
    }
    expect(await inForce(newer)).toEqual({ lanes: ["a", "b"], tokensPerMinute: 90_000 });
    expect(await newer.inspect(POOL)).toMatchObject({ version });
    expect(await asks(newer, "b")).toMatchObject({ type: "granted" });
  });

  it("one counts no longer when its workers are gone: a step back is in force after a minute", async () => {
    const { worker, clock } = fleet();
    const older = worker();
    await older.configure(POOL, file(["a"]));
    await worker().configure(POOL, file(["a", "b"], 90_000));
    clock.ms += 59_000;
    await older.configure(POOL, file(["a"]));
    expect(await inForce(older)).toEqual({ lanes: ["a", "b"], tokensPerMinute: 90_000 });
    clock.ms += 2_000;
    await older.configure(POOL, file(["a"]));
    expect(await inForce(older)).toEqual({ lanes: ["a"], tokensPerMinute: 60_000 });
  });

  it("a quota that an operator has set stays while others only add lanes", async () => {
    const { worker } = fleet();
    const [older, newer] = [worker(), worker()];
    await older.configure(POOL, file(["a", "c"]));
    await newer.configure(POOL, file(["a", "b"]));
    await newer.setQuota(POOL, { tokensPerMinute: 30_000 });
    await worker().configure(POOL, file(["a", "c"]));
    await newer.configure(POOL, file(["a", "b"]));
    expect(await inForce(newer)).toEqual({ lanes: ["a", "b", "c"], tokensPerMinute: 30_000 });
  });

  it("shares that would add up to the whole quota leave the lanes of others without one", async () => {
    const { worker } = fleet();
    await worker().configure(POOL, shared("a"));
    const newer = worker();
    await newer.configure(POOL, shared("b"));
    expect((await newer.inspect(POOL)).limits.lanes).toMatchObject([
      { name: "b", share: 0.6 },
      { name: "a", share: 0 },
    ]);
    // What the scripts keep is what this package takes.
    await newer.setQuota(POOL, { tokensPerMinute: 50_000 });
    expect(await asks(newer, "a")).toMatchObject({ type: "granted" });
  });
});

const HOUR_MS = 3_600_000;

describe("the order of pools files", () => {
  it.each(["newer", "older"])("survives a Redis that comes back empty, the %s first", async (first) => {
    const { worker, space, clock } = fleet();
    const [older, newer] = [worker(), worker()];
    await older.configure(POOL, file(["a"]));
    clock.ms += 1_000;
    await newer.configure(POOL, file(["a"], 90_000));
    await empty(space);
    const both = [
      async () => newer.restore(POOL, file(["a"], 90_000)),
      async () => older.restore(POOL, file(["a"])),
    ];
    for (const restore of first === "newer" ? both : both.toReversed()) await restore();
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
    for (let round = 0; round < 6; round++) {
      clock.ms += 20_000;
      await newer.configure(POOL, file(["a"], 90_000));
      await older.configure(POOL, file(["a"]));
    }
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("survives it when a worker with the older one has just begun, once another says since when there is the file", async () => {
    const { worker, space, clock } = fleet();
    const [older, newer] = [worker(), worker()];
    await older.configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    await empty(space);
    clock.ms += 1_000;
    await worker().configure(POOL, file(["a"]));
    await newer.restore(POOL, file(["a"], 90_000));
    await older.restore(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("survives a loss that the next admission finds", async () => {
    const { worker, space, clock } = fleet();
    const [older, newer] = [worker(), worker()];
    await older.configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    await empty(space);
    clock.ms += 1_000;
    await asks(newer, "a");
    await older.configure(POOL, file(["a"]));
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("a file that comes after a loss is newer than those from before", async () => {
    const { worker, space, clock } = fleet();
    const before = worker();
    await before.configure(POOL, file(["a"]));
    await empty(space);
    clock.ms += 1_000;
    await worker().configure(POOL, file(["a"], 90_000));
    await before.restore(POOL, file(["a"]));
    expect(await inForce(before)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("does not age: days later a worker with an older file changes nothing", async () => {
    const { worker, clock } = fleet();
    const newer = worker();
    await worker().configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    for (const hours of [13, 13, 100]) {
      clock.ms += hours * HOUR_MS;
      await newer.configure(POOL, file(["a"], 90_000));
    }
    await worker().configure(POOL, file(["a"]));
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("a version that says a default which others leave out does not make an old file new", async () => {
    const { worker } = fleet();
    const newer = worker();
    await worker().configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    const { burstMs, day } = defaults;
    await worker().configure(POOL, { ...file(["a"]), burstMs, day: { parkMs: day.parkMs } });
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
  });

  it("goes on from what the version before has counted", async () => {
    const { worker, space } = fleet();
    const newer = worker();
    await worker().configure(POOL, file(["a"]));
    await newer.configure(POOL, file(["a"], 90_000));
    await countedAsBefore(space);
    await worker().configure(POOL, file(["a"]));
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 90_000 });
    await worker().configure(POOL, file(["a"], 30_000));
    expect(await inForce(newer)).toEqual({ lanes: ["a"], tokensPerMinute: 30_000 });
  });

  it("is kept for a bounded number of files", async () => {
    const { worker, space, clock } = fleet();
    for (let each = 1; each <= 100; each++) {
      await worker().configure(POOL, file(["a"], 1_000 * each));
      clock.ms += 61_000;
    }
    const stored = await redis.hgetBuffer(poolKeys(space, POOL).limits, "declarations");
    expect(stored?.length).toBeLessThan(8_000);
    expect((await inForce(worker())).tokensPerMinute).toBe(100_000);
  });
});

/** Redis has lost all that it knew of the pool. */
async function empty(space: ReturnType<typeof keySpace>): Promise<void> {
  const { limits, state } = poolKeys(space, POOL);
  await redis.del(limits, state);
}

/** The declarations as the version before keeps them: numbered from 1, without what they say beyond the defaults. */
async function countedAsBefore(space: ReturnType<typeof keySpace>): Promise<void> {
  const script = `
    local known, list = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'declarations')), {}
    for id, one in pairs(known) do list[#list + 1] = { id = id, order = one.order } end
    table.sort(list, function(a, b) return a.order < b.order end)
    for place, one in ipairs(list) do
      local own = known[one.id]
      known[one.id] = { order = place, seenAt = own.seenAt, lanes = own.lanes }
    end
    redis.call('HSET', KEYS[1], 'declarations', cmsgpack.pack(known))`;
  await redis.eval(script, 1, poolKeys(space, POOL).limits);
}

describe("a worker whose lane is not in force", () => {
  it("declares again, and is answered", async () => {
    const { worker, space } = fleet();
    const limiter = worker();
    await limiter.configure(POOL, file(["a", "b"]));
    await asFormerVersion(space, file(["a"]));
    expect(await asks(limiter, "b")).toMatchObject({ type: "granted" });
    expect((await inForce(limiter)).lanes).toEqual(["a", "b"]);
  });

  it("is told when its own file has no such lane", async () => {
    const { worker } = fleet();
    const limiter = worker();
    await limiter.configure(POOL, file(["a"]));
    await expect(asks(limiter, "b")).rejects.toThrow("Expected `lane` to be one of a, got 'b'");
  });
});

/** A program of the version before starts: it knows one declaration, and puts its own in force. */
async function asFormerVersion(space: ReturnType<typeof keySpace>, limits: ReturnType<typeof file>) {
  const { limits: key } = poolKeys(space, POOL);
  const script = `
    local parameters = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'parameters'))
    parameters.lanes = cjson.decode(ARGV[1]).lanes
    redis.call('HSET', KEYS[1], 'parameters', cmsgpack.pack(parameters), 'limits', ARGV[1], 'declared', ARGV[1])`;
  await redis.eval(script, 1, key, JSON.stringify(limits));
}
