/** What version 0.1 left in Redis is gone on with: its parameters, its state in each phase, its reservations. */
import { randomUUID } from "node:crypto";
import { connect, keySpace, type KeySpace } from "@sluice/redis";
import { afterAll, describe, expect, inject, it, test } from "vitest";
import { restoreLast } from "../../redis/test/stored.ts";
import {
  createOperations,
  createQuotaLog,
  createRedisLimiter,
  guardLimiter,
  type Limiter,
  type OperableLimiter,
} from "../src/index.ts";
import { poolKeys } from "../src/keys.ts";
import { limits, POOL, START } from "./harness.ts";

const redis = connect(inject("redisUrl"), "command", () => undefined);
afterAll(() => redis.disconnect());

const closed = {
  phase: "closed",
  epoch: 7,
  until: 0,
  openings: 3,
  closedAt: 0,
  probeId: "",
  probeUntil: 0,
  successes: 0,
  timeouts: 4,
  suspects: [{ job: "a", shape: "converse" }],
};

/** A limiter on a pool as version 0.1 kept it. */
async function inherit(breaker: object): Promise<{ limiter: OperableLimiter; clock: { ms: number } }> {
  const space = keySpace("limits-upgrade", randomUUID());
  const clock = { ms: START };
  const limiter = createRedisLimiter({ redis, keySpace: space, now: () => clock.ms });
  await limiter.configure(POOL, limits);
  await asBefore(space, breaker);
  return { limiter, clock };
}

/** Takes out of the stored records what version 0.1 did not know. */
async function asBefore(space: KeySpace, breaker: object): Promise<void> {
  const keys = poolKeys(space, POOL);
  const script = `
    local parameters = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'parameters'))
    for _, name in ipairs({ 'form', 'slotMs', 'slotsKept', 'spellSlots', 'silenceMs', 'operationsKept', 'noteEveryMs' }) do
      parameters[name] = nil
    end
    redis.call('HSET', KEYS[1], 'parameters', cmsgpack.pack(parameters))
    local limits = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'breaker'))
    for _, name in ipairs({ 'failures', 'outWeight', 'openPart', 'probesMost', 'outageJobs', 'holdMostMs' }) do
      limits[name] = nil
    end
    redis.call('HSET', KEYS[1], 'breaker', cmsgpack.pack(limits))
    local state = cmsgpack.unpack(redis.call('GET', KEYS[2]))
    state.breaker, state.notedAt = cjson.decode(ARGV[1]), nil
    redis.call('SET', KEYS[2], cmsgpack.pack(state))
    local reservation = {
      lane = 'standard', cost = { tokens = 1 }, startAt = tonumber(ARGV[2]), epoch = 7, probe = false, day = 0,
    }
    redis.call('HSET', KEYS[3], 'old', cmsgpack.pack(reservation))
    redis.call('ZADD', KEYS[4], ARGV[2] + 180000, 'old')
    redis.call('DEL', KEYS[5])`;
  const { limits: declared, state, reservations, expiry, starts } = keys;
  const args = [JSON.stringify(breaker), START];
  await redis.eval(script, 5, declared, state, reservations, expiry, starts, ...args);
}

const ask = async (limiter: Limiter, id: string, lane = "critical") =>
  limiter.admit({ pool: POOL, lane, id, job: id, cost: { tokens: 1 }, ttlMs: 180_000 });

const settle = async (limiter: OperableLimiter, id: string, outcome: "ok" | "failed" | "systemic") =>
  limiter.settle({ pool: POOL, id, outcome, actual: {}, operation: "converse" });

/** Says that a newer version wrote the parameters. */
async function asNext(space: KeySpace, since: number): Promise<void> {
  const script = `
    local parameters = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'parameters'))
    parameters.form, parameters.since, parameters.later = 3, tonumber(ARGV[1]), { 1 }
    redis.call('HSET', KEYS[1], 'parameters', cmsgpack.pack(parameters))`;
  await redis.eval(script, 1, poolKeys(space, POOL).limits, since);
}

describe("a pool of the version before", () => {
  it("is gone on with: its limits, its state, its reservations", async () => {
    const space = keySpace("limits-upgrade", randomUUID());
    await restoreLast(redis, space, "limits:");
    const limiter = createRedisLimiter({ redis, keySpace: space, now: () => 1_800_000_001_000 });
    expect(await limiter.inspect("claude")).toMatchObject({ reservations: 1, takesCalls: true, version: 1 });
    const settled = await limiter.settle({
      pool: "claude",
      id: "r1",
      outcome: "ok",
      actual: { tokens: 100 },
    });
    expect(settled).toMatchObject({ type: "settled" });
    expect(await createQuotaLog(redis, space).entries("claude", 5)).toMatchObject([{ by: "ann@host" }]);
    expect(await createOperations(redis, space).entries("claude", 5)).toMatchObject([
      { phase: "done", action: "breaker close" },
      { phase: "intent" },
    ]);
  });
});

async function fresh() {
  const space = keySpace("limits-upgrade", randomUUID());
  const limiter = createRedisLimiter({ redis, keySpace: space, now: () => START });
  await limiter.configure(POOL, limits);
  return { limiter, space };
}

test("a quota's change that a newer version has noted, or that is none, is left out of the list", async () => {
  const space = keySpace("limits-upgrade", randomUUID());
  const log = createQuotaLog(redis, space);
  const entry = { atMs: START, by: "ann@host", from: {}, to: { tokensPerMinute: 5 } };
  await log.add(POOL, entry);
  const { changes } = poolKeys(space, POOL);
  for (const line of [
    "{",
    "null",
    "[]",
    { ...entry, version: 2 },
    { ...entry, by: 1 },
    { ...entry, to: { all: "x" } },
  ]) {
    await redis.lpush(changes, typeof line === "string" ? line : JSON.stringify(line));
  }
  await redis.lpush(changes, JSON.stringify({ ...entry, by: "of the version before" }));
  expect(await log.entries(POOL, 10)).toEqual([{ ...entry, by: "of the version before" }, entry]);
});

describe("a pool of a newer version", () => {
  it("is worked with as it is, when it says that this one can", async () => {
    const { limiter, space } = await fresh();
    await asNext(space, 2);
    const { limits: key } = poolKeys(space, POOL);
    const before = await redis.hgetBuffer(key, "parameters");
    expect(await ask(limiter, "a")).toMatchObject({ type: "granted" });
    expect(await redis.hgetBuffer(key, "parameters")).toEqual(before);
  });

  it("is otherwise left alone: nothing is admitted here, nothing is made anew", async () => {
    const { limiter, space } = await fresh();
    await asNext(space, 3);
    const before = await redis.hgetallBuffer(poolKeys(space, POOL).limits);
    await expect(ask(limiter, "a")).rejects.toThrow(
      "A newer version of Sluice wrote the limits of pool 'model' (form 3, this program works with 2)",
    );
    // Nor by a worker that starts, with the same file or another.
    await limiter.configure(POOL, { ...limits, quota: { tokensPerMinute: 1_000 } });
    const guarded = guardLimiter(limiter);
    expect(await ask(guarded, "a")).toMatchObject({ type: "open", cause: "local" });
    expect(await redis.hgetallBuffer(poolKeys(space, POOL).limits)).toEqual(before);
  });
});

describe("a pool of version 0.1", () => {
  it("keeps what an operator has set since the pools file was read", async () => {
    const { limiter } = await inherit(closed);
    await limiter.setQuota(POOL, { tokensPerMinute: 30_000 });
    expect(await limiter.inspect(POOL)).toMatchObject({
      limits: { quota: { tokensPerMinute: 30_000, requestsPerMinute: 600 } },
      breaker: { phase: "closed", epoch: 7, suspects: 1 },
    });
    // The same declaration again, as of a worker that starts, changes nothing.
    await limiter.configure(POOL, limits);
    expect((await limiter.inspect(POOL)).limits.quota.tokensPerMinute).toBe(30_000);
  });

  it("settles the calls that were out", async () => {
    const { limiter } = await inherit(closed);
    expect(await settle(limiter, "old", "ok")).toMatchObject({ type: "settled", probe: false, shutMs: 0 });
  });

  it("goes on from a closed breaker: its failures in a row begin anew", async () => {
    const { limiter } = await inherit(closed);
    await settle(limiter, "old", "ok");
    for (const id of ["b", "c", "d", "e", "f"]) {
      expect(await limiter.inspect(POOL)).toMatchObject({ takesCalls: true });
      await ask(limiter, id);
      await settle(limiter, id, "failed");
    }
    expect(await limiter.inspect(POOL)).toMatchObject({ breaker: { phase: "open", epoch: 8, openings: 1 } });
  });

  it("goes on from an open breaker, whose outage is as old as its next probe", async () => {
    const { limiter, clock } = await inherit({ ...closed, phase: "open", until: START + 120_000 });
    expect(await ask(limiter, "a")).toEqual({ type: "open", afterMs: 120_000, cause: "breaker" });
    clock.ms += 120_000;
    expect(await ask(limiter, "a")).toMatchObject({ type: "granted", probe: true });
    expect(await settle(limiter, "a", "failed")).toMatchObject({ probe: true, shutMs: 5_000 });
  });

  it("hears a probe that was under way", async () => {
    const probing = {
      ...closed,
      phase: "half-open",
      probeId: "old",
      probeUntil: START + 60_000,
      successes: 1,
    };
    const { limiter } = await inherit(probing);
    expect((await limiter.inspect(POOL)).breaker.probes).toEqual(["old"]);
    await settle(limiter, "old", "ok");
    expect(await limiter.inspect(POOL)).toMatchObject({ breaker: { phase: "closed", epoch: 8 } });
  });

  it("hears a canary that was under way", async () => {
    const isolated = {
      ...closed,
      phase: "isolated",
      until: START,
      probeId: "old",
      probeUntil: START + 60_000,
    };
    const { limiter } = await inherit(isolated);
    expect(await ask(limiter, "a", "bulk")).toMatchObject({ type: "open", cause: "probing" });
    expect(await settle(limiter, "old", "systemic")).toMatchObject({ shutMs: 60_000 });
    expect(await limiter.inspect(POOL)).toMatchObject({ breaker: { phase: "isolated", suspects: 1 } });
  });
});
