/** Which replay a job lives on as, in a real Redis. */
import { expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { Lineage, OUTCOME_TTL_MS } from "../src/index.ts";
import { lineageKey } from "../src/keys.ts";
import { id } from "./samples.ts";

function given() {
  const redis = testRedis("command");
  const space = testKeySpace();
  return { redis, key: lineageKey(space, id), lineage: new Lineage(redis, space) };
}

test("is nothing until the job is replayed, then its latest replay, whichever of its ids is asked for", async () => {
  const { lineage } = given();
  expect(await lineage.latest(id)).toBeUndefined();
  const deadlineAt = Date.now() + 60_000;
  await lineage.mark({ id, deadlineAt });
  expect(await lineage.latest(id)).toBeUndefined();
  await lineage.mark({ id: `${id}.r1`, deadlineAt });
  await lineage.mark({ id: `${id}.r2`, deadlineAt });
  expect(await lineage.latest(id)).toBe(2);
  expect(await lineage.latest(`${id}.r1`)).toBe(2);
});

test("a process that was paused between its claim and its note takes nothing back", async () => {
  const { lineage } = given();
  const deadlineAt = Date.now() + 60_000;
  await lineage.mark({ id: `${id}.r3`, deadlineAt });
  await lineage.mark({ id: `${id}.r2`, deadlineAt });
  expect(await lineage.latest(id)).toBe(3);
});

test("outlives the outcome of a replay that ends at its deadline, and keeps what a later version adds", async () => {
  const { redis, key, lineage } = given();
  const deadlineAt = Date.now() + 60_000;
  await lineage.mark({ id: `${id}.r1`, deadlineAt });
  expect(await redis.pexpiretime(key)).toBeGreaterThan(deadlineAt + OUTCOME_TTL_MS);
  await redis.hset(key, "since", "later");
  await lineage.mark({ id: `${id}.r2`, deadlineAt });
  expect(await redis.hgetall(key)).toEqual({ replay: "2", version: "1", since: "later" });
});
