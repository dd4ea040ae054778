/** After an outage longer than every lease and heartbeat all owners look dead. Whoever lives must not be paid twice. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RunningService } from "@sluice/services";
import { describe, expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { CallLedger } from "../src/index.ts";
import { insist, member, untilFree, type Member } from "./fleet.ts";
import { completed, id } from "./samples.ts";

const TTL_MS = 900;
const LEASE_MS = 900;
const GRACE_MS = 1_500;
const OUTAGE_MS = 2_000;
const call = { id, maxCalls: 5, leaseMs: LEASE_MS };

const outages: Record<string, (redis: RunningService) => Promise<void>> = {
  async "stopped (SIGSTOP)"(redis) {
    process.kill(redis.pid, "SIGSTOP");
    await sleep(OUTAGE_MS);
    process.kill(redis.pid, "SIGCONT");
  },
  async "killed and started again"(redis) {
    await redis.kill();
    await sleep(OUTAGE_MS);
    await redis.restart();
  },
};

async function two(graceMs: number): Promise<{ redis: RunningService; a: Member; b: Member }> {
  const redis = await ownRedis();
  const space = testKeySpace();
  const times = { ttlMs: TTL_MS, graceMs };
  const a = await member(space, times, redis.url);
  const b = await member(space, times, redis.url);
  expect(await a.ledger.begin({ ...call, owner: a.owner })).toEqual({
    type: "go",
    call: 1,
    lost: 0,
    left: [],
    unnamed: false,
  });
  return { redis, a, b };
}

describe.each(Object.entries(outages))("Redis %s for longer than heartbeat and lease", (_how, outage) => {
  test("and the owner is alive: nobody else calls, its answer is the one", async () => {
    const { redis, a, b } = await two(GRACE_MS);
    await outage(redis);
    expect((await insist(async () => b.ledger.begin({ ...call, owner: b.owner }))).type).toBe("busy");
    const asked = untilFree(b, call);
    await sleep(GRACE_MS / 3);
    await insist(async () => a.outcomes.putAndClose(completed, a.owner));
    expect((await asked).answer).toEqual({ type: "ended" });
  });

  test("and the owner died: the call is repeated, once the grace is over", async () => {
    const { redis, a, b } = await two(GRACE_MS);
    await a.crash();
    await outage(redis);
    const backAt = Date.now();
    const { answer } = await untilFree(b, call);
    expect(answer).toEqual({ type: "go", call: 2, lost: 1, left: [], unnamed: true });
    expect(Date.now() - backAt).toBeGreaterThan(GRACE_MS - 100);
  });

  test("and without a grace it would be paid twice", async () => {
    const { redis, b } = await two(0);
    await outage(redis);
    expect((await untilFree(b, call)).answer).toEqual({
      type: "go",
      call: 2,
      lost: 1,
      left: [],
      unnamed: true,
    });
  });
});

test("an outage shorter than a gap changes nothing: the owner is alive, and a dead one is found out", async () => {
  const { redis, a, b } = await two(GRACE_MS);
  process.kill(redis.pid, "SIGSTOP");
  await sleep(TTL_MS / 6);
  process.kill(redis.pid, "SIGCONT");
  expect((await insist(async () => b.ledger.begin({ ...call, owner: b.owner }))).type).toBe("busy");
  await a.crash();
  expect((await untilFree(b, call)).answer).toEqual({
    type: "go",
    call: 2,
    lost: 1,
    left: [],
    unnamed: true,
  });
});

test("a question whose answer was lost is asked again by the connection, and is one call", async () => {
  const server = await ownRedis();
  const space = testKeySpace();
  const { owner } = await member(space, {}, server.url);
  // This profile sends again what was not answered.
  const redis = testRedis("worker", server.url);
  const ledger = new CallLedger({ redis, keySpace: space });
  // The server knows the script from now on, so the next one runs when it arrives.
  await ledger.begin({ ...call, id: "another", owner });
  process.kill(server.pid, "SIGSTOP");
  const asked = ledger.begin({ ...call, owner });
  // The server has the command; the connection ends before it can answer.
  await sleep(100);
  redis.stream.destroy();
  process.kill(server.pid, "SIGCONT");
  expect(await asked).toEqual({ type: "go", call: 1, lost: 0, left: [], unnamed: false });
  expect(await redis.hget(`${space}:ledger:${id}`, "calls")).toBe("1");
});

test("a question that timed out is asked again by the caller, and is one call", async () => {
  const server = await ownRedis();
  const { owner, ledger, redis } = await member(testKeySpace(), {}, server.url);
  await ledger.begin({ ...call, id: "another", owner });
  process.kill(server.pid, "SIGSTOP");
  const question = { ...call, owner, leaseMs: 60_000 };
  await expect(ledger.begin(question)).rejects.toThrow("timed out");
  process.kill(server.pid, "SIGCONT");
  // Behind the one that timed out, on the same connection: by now that has been granted.
  await insist(async () => redis.ping());
  expect(await ledger.begin(question)).toEqual({ type: "go", call: 1, lost: 0, left: [], unnamed: false });
  expect((await ledger.begin(question)).type).toBe("busy");
});
