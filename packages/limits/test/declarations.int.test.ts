/** Workers of one pool whose pools files differ: none takes a lane from another, and the latest file is in force. */
import { randomUUID } from "node:crypto";
import { connect, keySpace } from "@sluice/redis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { createRedisLimiter, type LaneLimits, type OperableLimiter } from "../src/index.ts";
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
