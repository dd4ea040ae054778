/** Which lanes workers serve: said beside the heartbeat, and of a lane that nobody names said in words. */
import { expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { describeUnserved, Heartbeat, readServed, ServedNote } from "../src/index.ts";

const onError = (error: unknown): void => expect.fail(String(error));

function fleet() {
  const redis = testRedis("command");
  const space = testKeySpace();
  const worker = async (...lanes: string[]) => {
    const heartbeat = new Heartbeat({ redis, keySpace: space, onError });
    const { owner } = heartbeat;
    const note = new ServedNote({ redis, keySpace: space, owner, lanes, ttlMs: 12_000, onError });
    if (lanes.length > 0) await note.start();
    await heartbeat.start();
    return {
      owner,
      stop: async () => {
        await note.stop();
        await heartbeat.stop();
      },
    };
  };
  const unserved = async (lane: string) => describeUnserved(await readServed(redis, space), lane);
  return { redis, space, worker, unserved };
}

test("a lane is unserved while no worker that lives names it", async () => {
  const { worker, unserved } = fleet();
  expect(await unserved("p.a")).toBe("No worker is running");
  const one = await worker("p.a");
  expect(await unserved("p.a")).toBeUndefined();
  expect(await unserved("p.b")).toBe(
    "No worker serves this lane: the one that runs does not have it in its pools file",
  );
  const two = await worker("p.a", "p.c");
  expect(await unserved("p.b")).toBe(
    "No worker serves this lane: none of the 2 that run has it in its pools file",
  );
  await two.stop();
  expect(await unserved("p.c")).toContain("No worker serves this lane");
  await one.stop();
});

test("a worker that does not say what it serves, or says it in a newer version, may serve any", async () => {
  const { redis, space, worker, unserved } = fleet();
  const one = await worker("p.a");
  const silent = await worker();
  expect(await unserved("p.b")).toBeUndefined();
  await silent.stop();
  await redis.set(`${space}:serves:${one.owner}`, JSON.stringify({ version: 2, pools: ["p"] }));
  expect(await readServed(redis, space)).toMatchObject({ workers: 1, silent: 1 });
  expect(await unserved("p.b")).toBeUndefined();
  await one.stop();
});
