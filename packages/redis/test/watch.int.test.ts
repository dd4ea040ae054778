/** What a watch notices of a Redis that changes under it. */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  connect,
  keySpace,
  RedisClock,
  RedisWatch,
  timeSource,
  UnfitRedisError,
  type RedisNews,
} from "../src/index.ts";
import { replicaPair } from "./failover.ts";
import { testRedis } from "./redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";

const SPACE = keySpace("t-watch", "main");

function watching(redis: Redis, spaces = [SPACE]) {
  const news: RedisNews[] = [];
  const clock = new RedisClock({ source: timeSource(redis, "t-watch") });
  const onNews = (each: RedisNews): unknown => news.push(each);
  const watch = new RedisWatch({ redis, keySpaces: spaces, clock, onNews, everyMs: 100 });
  onTestFinished(() => watch.stop());
  watch.start();
  const told = async (wanted: object): Promise<void> =>
    vi.waitFor(() => expect(news).toContainEqual(expect.objectContaining(wanted)), 15_000);
  return { watch, news, told };
}

const never = new AbortController().signal;
const trouble = (code: string, ready: boolean): object => ({
  type: "trouble",
  ready,
  problem: expect.objectContaining({ code }),
});

/** A program of the version before has found another server. */
async function found(redis: Redis, { at, seenAt }: { at: number; seenAt: number }): Promise<void> {
  await redis.hset(`${SPACE}:mark`, { changedAt: at, seenBefore: seenAt });
}

describe("a watch", () => {
  test("takes a new installation, a new namespace and a second program for what they are", async () => {
    const { url } = await ownRedis();
    const first = watching(testRedis("command", url));
    await first.watch.untilFit(never);
    const second = watching(testRedis("command", url), [SPACE, keySpace("t-other", "main")]);
    await second.watch.untilFit(never);
    await first.watch.look();
    expect(first.news).toEqual([{ type: "new", keySpace: SPACE }]);
    expect(second.news).toEqual([{ type: "new", keySpace: "t-other:{main}" }]);
    expect(await first.watch.health()).toEqual({ ready: true, problems: [] });
  });

  test("notices that Redis came back empty, once in each program", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    const programs = [watching(redis), watching(testRedis("command", url))];
    for (const { watch } of programs) await watch.untilFit(never);
    await redis.flushall();
    for (const { told } of programs) await told({ type: "emptied", keySpace: SPACE });
    for (const { watch } of programs) await watch.look();
    for (const { news } of programs) expect(news.filter(({ type }) => type === "emptied")).toHaveLength(1);
  });

  test("notices a restart with all data and one without, also when it happened before the program began", async () => {
    const service = await ownRedis();
    const { watch, told, news } = watching(testRedis("command", service.url));
    await watch.untilFit(never);
    const killedAt = Date.now();
    await service.kill();
    await told(trouble("away", false));
    await service.restart();
    await told({ type: "restarted", keySpace: SPACE });
    await told({ type: "over", code: "away" });
    expect(news.map(({ type }) => type)).not.toContain("emptied");
    const [change] = watch.changes(SPACE);
    expect(change?.at).toBeGreaterThan(Date.now() - 60_000);
    // What was written after it may be lost, however long nobody could look.
    expect(change?.seenAt).toBeLessThanOrEqual(killedAt);

    const later = watching(testRedis("command", service.url));
    await later.watch.untilFit(never);
    expect(later.news).toEqual([]);
    expect(later.watch.changes(SPACE)).toEqual([change]);
  });

  test("tells each change, also of a server whose clock is behind, and who was away for several hears of all", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    const { watch, news } = watching(redis);
    await watch.untilFit(never);
    // Another program has found them, one of a version before the second: it knows the last change alone.
    const at = Date.now();
    const first = { at, seenAt: at - 9_000 };
    const second = { at: at - 60_000, seenAt: at - 70_000 };
    await found(redis, first);
    await watch.look();
    await found(redis, second);
    await watch.look();
    await watch.look();
    expect(news.filter(({ type }) => type === "restarted")).toEqual(
      [first, second].map((change) => ({ type: "restarted", keySpace: SPACE, ...change })),
    );
    const later = watching(testRedis("command", url));
    await later.watch.untilFit(never);
    expect(later.watch.changes(SPACE)).toEqual([first, second]);
    expect(later.news).toEqual([]);
  });

  test("says for as long as it runs that keys were dropped, whatever becomes of the server", async () => {
    const service = await ownRedis();
    const redis = testRedis("command", service.url);
    await redis.config("SET", "maxmemory-policy", "allkeys-random");
    await redis.set("key", "value");
    await redis.config("SET", "maxmemory", "1");
    await vi.waitFor(async () => expect(await redis.info("stats")).toMatch(/evicted_keys:[1-9]/), 5_000);
    await redis.config("SET", "maxmemory", "0");
    await redis.config("SET", "maxmemory-policy", "noeviction");
    const { watch, news, told } = watching(redis);
    await watch.untilFit(never);
    await told(trouble("evicted", true));
    await watch.look();
    await service.kill();
    await told(trouble("away", false));
    await service.restart();
    await told({ type: "over", code: "away" });
    await watch.look();
    expect(news.map((each) => (each.type === "over" ? each.code : undefined))).not.toContain("evicted");
    expect(await watch.health()).toMatchObject({ ready: true, problems: [{ code: "evicted" }] });
  });

  test.each([
    ["evicts", "maxmemory-policy", "allkeys-lru", "noeviction"],
    ["persistence-lost", "appendonly", "no", "yes"],
    ["full", "maxmemory", "1", "0"],
  ])("notices at run time that Redis %s", async (code, setting, bad, good) => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    const { watch, told } = watching(redis);
    await watch.untilFit(never);
    await redis.config("SET", setting, bad);
    await told(trouble(code, false));
    await redis.config("SET", setting, good);
    await told({ type: "over", code });
    await vi.waitFor(async () => expect(await watch.health()).toEqual({ ready: true, problems: [] }));
  });

  test("notices a disk that takes nothing more, and that it does again", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    const { watch, told } = watching(redis);
    await watch.untilFit(never);
    const setting = async (name: string): Promise<string> => {
      const reply = await redis.config("GET", name);
      return Array.isArray(reply) ? String(reply[1]) : "";
    };
    // A snapshot cannot take the place of a folder.
    const path = join(await setting("dir"), await setting("dbfilename"));
    await mkdir(path);
    await redis.config("SET", "save", "3600 1");
    await redis.bgsave();
    await told(trouble("disk", false));
    await rmdir(path);
    await redis.bgsave();
    await told({ type: "over", code: "disk" });
    // The snapshot may have ended between the two questions of that look.
    await vi.waitFor(async () => expect((await watch.look()).problems).toEqual([]));
  });

  test("warns of a Redis that never had an append-only file, and is ready", async () => {
    const { url } = await ownRedis("--appendonly", "no");
    const { watch, told } = watching(testRedis("command", url));
    await watch.untilFit(never);
    await told(trouble("no-persistence", true));
    expect((await watch.health()).ready).toBe(true);
  });

  test("says of a primary that lacks its replicas why it takes no write", async () => {
    const { url } = await ownRedis();
    const redis = testRedis("command", url);
    const { watch, told } = watching(redis);
    await watch.untilFit(never);
    await redis.config("SET", "min-replicas-to-write", "1");
    await told(trouble("read-only", false));
    await redis.config("SET", "min-replicas-to-write", "0");
    await told({ type: "over", code: "read-only" });
    await vi.waitFor(async () => expect(await watch.health()).toEqual({ ready: true, problems: [] }), 5_000);
  });

  test("finds the new primary after a fail-over, and says that one took place", async () => {
    const pair = await replicaPair();
    const { watch, told } = watching(testRedis("command", pair.url));
    await watch.untilFit(never);
    await pair.failOver();
    await told({ type: "restarted", keySpace: SPACE });
    await vi.waitFor(async () => expect((await watch.health()).ready).toBe(true));
  });
});

/** A connection to a server that answers nobody for so long, from now on. */
async function pausedRedis(ms: number): Promise<Redis> {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  await redis.ping();
  await testRedis("worker", url).client("PAUSE", ms, "ALL");
  return redis;
}

test("the first look is asked again when it timed out: a program that starts is busy itself", async () => {
  const { watch, news } = watching(await pausedRedis(1_300));
  expect(await watch.look()).toEqual({ ready: true, problems: [] });
  expect(news).toEqual([{ type: "new", keySpace: SPACE }]);
});

test("a Redis that stays silent at the start is told, and that it has come", async () => {
  const { told, watch } = watching(await pausedRedis(4_000));
  await told(trouble("away", false));
  await told({ type: "over", code: "away" });
  expect(await watch.health()).toEqual({ ready: true, problems: [] });
});

test("a port that does not speak TLS is told to an URL that says it does", async () => {
  const { url } = await ownRedis();
  const { news, told } = watching(testRedis("command", url.replace("redis:", "rediss:")));
  await told(trouble("away", false));
  expect(news).toContainEqual(
    expect.objectContaining({
      problem: expect.objectContaining({
        message: expect.stringContaining("REDIS_URL begins with rediss://"),
      }),
    }),
  );
});

describe("a program does not start", () => {
  test.each([
    [
      "a node of a Redis Cluster",
      ["--cluster-enabled", "yes"],
      "",
      /node of a Redis Cluster.*cluster mode off/,
    ],
    [
      "a Redis that evicts",
      ["--maxmemory-policy", "allkeys-lru"],
      "",
      /evicts keys.*maxmemory-policy to noeviction/,
    ],
    [
      "a database that is not there",
      ["--databases", "2"],
      "/2",
      /no database 2 for us.*DB index is out of range/,
    ],
  ])("on %s", async (_name, settings, path, sentence) => {
    const { url } = await ownRedis(...settings);
    const redis = testRedis("command", url + path);
    const { watch } = watching(redis);
    const refused = watch.untilFit(never);
    await expect(refused).rejects.toThrow(UnfitRedisError);
    await expect(refused).rejects.toThrow(sentence);
    const stray = testRedis("command", url);
    expect(await stray.dbsize()).toBe(0);
  });

  test("nor do the connections that a library duplicates go on in database 0", async () => {
    const { url } = await ownRedis("--databases", "2");
    const copy = testRedis("worker", `${url}/2`).duplicate({ maxRetriesPerRequest: null });
    onTestFinished(() => copy.disconnect());
    copy.on("error", () => {});
    await expect(copy.set("stray", "1")).rejects.toThrow("Connection is closed");
    expect(await testRedis("command", url).exists("stray")).toBe(0);
  });

  test.each([
    ["/abc", "Expected the path of the Redis URL to be the number of a database such as /0, got '/abc'"],
    ["/0/1", "got '/0/1'"],
    ["/-1", "got '/-1'"],
    ["?db=3", "Expected the URL of Redis to have no option but `family`, got `db`"],
  ])("with %s in its URL, and the password is not told", (path, sentence) => {
    const opened = (): Redis => connect(`redis://someone:secret@127.0.0.1:1${path}`, "command", () => {});
    expect(opened).toThrow(sentence);
    expect(opened).not.toThrow("secret");
  });
});

/** On a machine whose clock is off. */
function watchingOff(ahead: { ms: number }) {
  const news: RedisNews[] = [];
  const redis = testRedis("command");
  const clock = new RedisClock({
    source: timeSource(redis, "t-watch"),
    machine: () => Date.now() + ahead.ms,
  });
  const onNews = (each: RedisNews): unknown => news.push(each);
  const watch = new RedisWatch({ redis, keySpaces: [SPACE], clock, everyMs: 20, onNews });
  onTestFinished(() => watch.stop());
  watch.start();
  return { watch, news };
}

describe("the clocks", () => {
  test("a machine 65 s ahead is told what to do, and starts nothing", async () => {
    const { watch } = watchingOff({ ms: 65_000 });
    await expect(watch.untilFit(never)).rejects.toThrow(
      /^The clock of this machine is 6[45]\.\d s ahead of that of Redis, .*chronyc makestep/,
    );
  });

  test("a clock that is set while a program runs is told once, and once when it is right again", async () => {
    const ahead = { ms: 0 };
    const { watch, news } = watchingOff(ahead);
    await watch.untilFit(never);
    const codes = (): string[] =>
      news.flatMap((each) => {
        if (each.type === "trouble") return [`${each.problem.code} ${each.ready}`];
        return each.type === "over" ? [`over ${each.code}`] : [];
      });
    const clocksIn = (): string[] => codes().filter((each) => each.includes("clock"));
    ahead.ms = -20_000;
    await vi.waitFor(() => expect(clocksIn()).toEqual(["clock true"]));
    expect(Math.abs(watch.clock.now() - Date.now())).toBeLessThan(500);
    ahead.ms = 65_000;
    await vi.waitFor(() => expect(clocksIn()).toEqual(["clock true", "clock-apart true"]));
    expect(watch.clock.isApart).toBe(true);
    ahead.ms = 0;
    await vi.waitFor(() =>
      expect(clocksIn().slice(2).toSorted()).toEqual(["over clock", "over clock-apart"]),
    );
    expect(watch.clock.isApart).toBe(false);
  });
});
