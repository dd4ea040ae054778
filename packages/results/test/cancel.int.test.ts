import { describe, expect, onTestFinished, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { CancelFlags, OutcomeStore, type CancelListener, type CancelSubscription } from "../src/index.ts";
import { answer, id } from "./samples.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

function listen(flags: CancelFlags, listener: CancelListener): CancelSubscription {
  const subscription = flags.subscribe(listener);
  onTestFinished(() => subscription.stop());
  return subscription;
}

describe("a cancellation", () => {
  test("is remembered, with who asked first", async () => {
    const redis = testRedis("command");
    const space = testKeySpace();
    const flags = new CancelFlags(redis, space);
    expect(await flags.isRequested(id)).toBe(false);
    expect(await flags.request(id, "alice")).toBe("first");
    expect(await flags.request(id, "bob")).toBe("again");
    expect(await flags.isRequested(id)).toBe(true);
    const found = await flags.find(id);
    expect(found?.by).toBe("alice");
    expect(Math.abs((found?.at ?? 0) - Date.now())).toBeLessThan(5_000);
    expect(await flags.isRequested(`${id}.r1`)).toBe(false);
    const ttl = await redis.pttl(`${space}:cancel:${id}`);
    expect(ttl).toBeGreaterThan(30 * DAY_MS);
    expect(ttl).toBeLessThanOrEqual(31 * DAY_MS);
  });

  test("is decided against the outcome: a job that was said to be cancelled does not end otherwise", async () => {
    const space = testKeySpace();
    const flags = new CancelFlags(testRedis("command"), space);
    const outcomes = new OutcomeStore(testRedis("command"), space);
    const seen = new Set<string>();
    for (let race = 0; race < 400; race += 1) {
      const job = `${id}-${String(race)}`;
      const ended = { id: job, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
      const outcome = race % 2 === 0 ? "completed" : "filtered";
      // Each a head start now and then: the replies to both cross on the way.
      const ask = async () => flags.request(job, "alice");
      const put = async () => outcomes.putAndClose({ ...ended, outcome, answer }, "owner");
      const [reply, first] =
        race % 3 === 0 ? await Promise.all([ask(), put()]) : (await Promise.all([put(), ask()])).toReversed();
      const stored = await outcomes.get(job);
      expect({ reply, first, stored }).toEqual(
        reply === "ended"
          ? { reply, first: true, stored: { ...ended, outcome, answer } }
          : { reply: "first", first: false, stored: { ...ended, outcome: "cancelled" } },
      );
      seen.add(String(reply));
    }
    expect(seen).toEqual(new Set(["first", "ended"]));
  });

  test("does not undo a death", async () => {
    const space = testKeySpace();
    const flags = new CancelFlags(testRedis("command"), space);
    const outcomes = new OutcomeStore(testRedis("command"), space);
    const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" } as const;
    const dead = {
      id,
      tenant: "acme",
      acceptedAt: 1,
      endedAt: 2,
      attempts: 1,
      outcome: "dead",
      failure,
    } as const;
    await flags.request(id, "alice");
    expect(await outcomes.putAndClose(dead, "owner")).toBe(true);
    expect(await flags.request(id, "alice")).toBe("ended");
  });

  test("is not raised for a job that has failed, though its outcome is yet to be stored", async () => {
    const redis = testRedis("command");
    const space = testKeySpace();
    const flags = new CancelFlags(redis, space);
    const failed = `${space}:queue:failed`;
    expect(await flags.request(id, "alice", [failed])).toBe("first");
    await redis.zadd(failed, 1, "other.job");
    expect(await flags.request(id, "alice", [failed])).toBe("again");
    await redis.zadd(failed, 1, "dead.job");
    expect(await flags.request("dead.job", "alice", [failed])).toBe("ended");
    expect(await flags.isRequested("dead.job")).toBe(false);
  });

  test("that is not one of ours is an error", async () => {
    const redis = testRedis("command");
    const space = testKeySpace();
    await redis.set(`${space}:cancel:${id}`, "{}", "PX", 60_000);
    await expect(new CancelFlags(redis, space).isRequested(id)).rejects.toThrow("by");
  });

  test("nudges every process of its key space, again when asked again, and no other", async () => {
    const [here, elsewhere] = [testKeySpace(), testKeySpace()];
    const flags = new CancelFlags(testRedis("producer"), here);
    const other = new CancelFlags(testRedis("producer"), elsewhere);
    const heard: string[] = [];
    const listener = (who: string): CancelListener => ({
      onCancel: (cancelled) => heard.push(`${who} ${cancelled}`),
      onError: (error) => expect.unreachable(String(error)),
    });
    await listen(flags, listener("a")).ready;
    await listen(flags, listener("b")).ready;
    await listen(other, listener("stranger")).ready;
    await flags.request("one", "alice");
    await flags.request("one", "alice");
    await expect.poll(() => heard.toSorted()).toEqual(["a one", "a one", "b one", "b one"]);
    await other.request("two", "alice");
    await expect.poll(() => heard.at(-1)).toBe("stranger two");
  });

  test("finds its flag raised when the nudge arrives", async () => {
    const space = testKeySpace();
    const flags = new CancelFlags(testRedis("command"), space);
    const { promise: found, resolve } = Promise.withResolvers<boolean>();
    const looker = new CancelFlags(testRedis("command"), space);
    await listen(flags, {
      onCancel: (cancelled) => resolve(looker.isRequested(cancelled)),
      onError: (error) => expect.unreachable(String(error)),
    }).ready;
    await flags.request(id, "alice");
    expect(await found).toBe(true);
  });

  test("that was asked for before a process listens is told for the jobs that it has in hand", async () => {
    const flags = new CancelFlags(testRedis("command"), testKeySpace());
    await flags.request("mine", "alice");
    await flags.request("another's", "alice");
    const heard: string[] = [];
    listen(flags, {
      onCancel: (cancelled) => heard.push(cancelled),
      inHand: () => ["mine", "not cancelled"],
      onError: (error) => expect.unreachable(String(error)),
    });
    await expect.poll(() => heard).toEqual(["mine"]);
  });

  test("reaches listeners after Redis was killed and started again, and what they missed is made up for", async () => {
    const redis = await ownRedis();
    const space = testKeySpace();
    const flags = new CancelFlags(testRedis("worker", redis.url), space);
    const heard: string[] = [];
    let reconnected = 0;
    await listen(flags, {
      onCancel: (cancelled) => heard.push(cancelled),
      inHand: () => ((reconnected += 1), ["missed"]),
      onError: () => {},
    }).ready;
    await redis.kill();
    await redis.restart();
    // The flag may be raised before the listener is back, or after: either way it hears of it.
    await flags.request("missed", "alice");
    await expect.poll(() => heard, { timeout: 10_000 }).toContain("missed");
    await expect.poll(() => reconnected, { timeout: 10_000 }).toBeGreaterThan(1);
    await flags.request("later", "alice");
    await expect.poll(() => heard, { timeout: 10_000 }).toContain("later");
  });

  test("is not heard any more after stop", async () => {
    const redis = testRedis("command");
    const space = testKeySpace();
    const flags = new CancelFlags(redis, space);
    const subscription = flags.subscribe({ onCancel: () => expect.unreachable(), onError: () => {} });
    await subscription.ready;
    subscription.stop();
    await expect.poll(async () => redis.publish(`${space}:cancel`, id)).toBe(0);
  });
});
