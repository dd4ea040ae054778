/** `sluice quota` as a program, on a real Redis: show, set, and take back. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parsePools, poolLimits } from "@sluice/config";
import { createOperations, createQuotaLog, createRedisLimiter, defaultLanes } from "@sluice/limits";
import { connect, keySpace } from "@sluice/redis";
import { expect, inject, onTestFinished, test, vi } from "vitest";

vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** A pool as a worker has published it. */
async function world(poolKeys: object = {}) {
  const name = `cli-quota-${randomBytes(4).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const poolsFile = join(folder, "pools.json");
  const pool = {
    scope: "lab",
    model: "us.amazon.nova-pro-v1:0",
    quota: { tokensPerMinute: 1_000_000, requestsPerMinute: 600 },
    ...poolKeys,
  };
  const text = JSON.stringify({
    scopes: { lab: { region: "us-east-1" }, former: { region: "us-east-1" } },
    pools: { nova: pool },
  });
  await writeFile(poolsFile, text);
  const redis = connect(inject("redisUrl"), "command", () => {});
  const space = keySpace(name, "lab");
  const limiter = createRedisLimiter({ redis, keySpace: space });
  const { pools } = parsePools(text, poolsFile);
  if (pools["nova"] === undefined) throw new Error("Expected the file to have its pool");
  await limiter.configure("nova", poolLimits(pools["nova"], { tokensPerDay: null }));
  onTestFinished(async () => {
    const keys = await redis.keys(`${name}:*`);
    if (keys.length > 0) await redis.del(keys);
    redis.disconnect();
    await rm(folder, { recursive: true, force: true });
  });

  const quota = async (...args: string[]) => sluice("quota", ...args);

  async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const env = {
      PATH: process.env["PATH"],
      SLUICE_NAMESPACE: name,
      SLUICE_POOLS: poolsFile,
      REDIS_URL: inject("redisUrl"),
    };
    const argv = ["--conditions=@sluice/source", MAIN, ...args];
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { env }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });
  }
  const inForce = async () => (await limiter.inspect("nova")).limits.quota;
  const operations = createOperations(redis, space);
  return {
    redis,
    space,
    name,
    sluice,
    quota,
    inForce,
    limiter,
    log: createQuotaLog(redis, space),
    operations,
  };
}

test("lanes that no worker serves, or no file has, are named, and a pool that no worker has started is told", async () => {
  const { redis, space, name, quota } = await world();
  await redis.zadd(`${space}:heartbeat:owners`, Date.now() + 60_000, "one");
  const note = JSON.stringify({ version: 1, lanes: ["nova.critical", "nova.standard"] });
  await redis.set(`${space}:serves:one`, note, "PX", 60_000);
  await redis.zadd(
    `${space}:lanes`,
    Date.now(),
    "nova.old",
    Date.now(),
    "nova.standard",
    Date.now(),
    "other.x",
  );
  await redis.zadd(`${space}:deadlines:nova.old`, Date.now() + 60_000, "a job");
  // The pool was in another scope before.
  const former = keySpace(name, "former");
  await redis.zadd(`${former}:lanes`, Date.now(), "nova.bulk");
  await redis.zadd(`${former}:deadlines:nova.bulk`, Date.now() + 60_000, "a job");
  const nobody = "No worker serves this lane: the one that runs does not have it in its pools file";
  const { out } = await quota("show", "nova");
  expect(out).toContain(`lane bulk: 0 jobs have not ended. ${nobody}`);
  expect(out).toContain(`lane old in scope lab, not in this pools file: 1 job has not ended. ${nobody}`);
  expect(out).toContain(
    "lane bulk in scope former, not in this pools file: 1 job has not ended. No worker is running",
  );
  expect(out).not.toContain("lane standard:");

  const keys = await redis.keys(`${space}:limits:*`);
  await redis.del(keys);
  const unstarted = await quota("show", "nova");
  expect(unstarted).toMatchObject({ code: 0, err: "" });
  expect(unstarted.out).toContain("nova: no worker has started this pool yet");
  expect(unstarted.out).toContain("lane old in scope lab, not in this pools file");
});

test("a pool that only workers with another file have is shown as they declared it, and not changed", async () => {
  const { redis, space, quota, limiter } = await world();
  await limiter.configure("elder", { quota: { tokensPerMinute: 70_000 }, lanes: defaultLanes });
  const shown = await quota("show", "elder");
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).toMatch(
    /^elder: breaker closed[^]*not in this pools file[^]*tokens +[\d,]+ a minute in use/,
  );
  expect(await quota("set", "elder", "tokens-per-minute=1")).toMatchObject({ code: 1 });

  // One that left nothing but jobs.
  await redis.zadd(`${space}:lanes`, Date.now(), "gone.standard");
  await redis.zadd(`${space}:deadlines:gone.standard`, Date.now() + 60_000, "a job");
  const gone = await quota("show", "gone");
  expect(gone.out).toContain("lane standard in scope lab, not in this pools file: 1 job has not ended");

  const nowhere = await quota("show", "nowhere", "--json");
  expect(nowhere).toMatchObject({
    code: 1,
    err: expect.stringContaining("There is no pool 'nowhere'. Pools: nova"),
  });
});

test("a worker that is denied what others may call is told of, while it lives", async () => {
  const { redis, space, quota, limiter } = await world();
  const call = async (process: string, id: string, outcome: "ok" | "systemic"): Promise<void> => {
    const operation = "converse";
    const asked = { pool: "nova", lane: "standard", id, job: id, cost: { requests: 1 }, ttlMs: 60_000 };
    await limiter.admit({ ...asked, process, operation });
    await limiter.settle({ pool: "nova", id, outcome, actual: {}, operation });
  };
  await call("well", "first", "ok");
  await call("sick", "denied-0", "systemic");
  await call("well", "second", "ok");
  for (let each = 1; each < 6; each += 1) await call("sick", `denied-${each}`, "systemic");
  const owners = `${space}:heartbeat:owners`;
  await redis.zadd(owners, Date.now() + 60_000, "well", Date.now() + 60_000, "sick");
  const told = /1 of 2 workers is denied what others may call \(converse\) since \d{4}-\S+: the role of sick/;
  expect((await quota("show", "nova")).out).toMatch(told);
  await redis.zrem(owners, "sick");
  expect((await quota("show", "nova")).out).not.toContain("is denied");
});

const DECLARED = { tokensPerMinute: 1_000_000, requestsPerMinute: 600 };

test("what is far off the file needs to be meant", async () => {
  const { quota, inForce, log } = await world();
  const refused = await quota("set", "nova", "tokens-per-minute=10000000");
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toMatch(/tokens-per-minute 10,000,000, the pools file says 1,000,000[^]*--yes/);
  expect(await inForce()).toEqual(DECLARED);
  expect(await log.entries("nova", 5)).toEqual([]);

  const meant = await quota("set", "nova", "tokens-per-minute=10000000", "--yes", "--by", "anna");
  expect(meant).toMatchObject({ code: 0, err: expect.stringContaining("far off the pools file") });
  expect(await inForce()).toEqual({ ...DECLARED, tokensPerMinute: 10_000_000 });
});

test("what was set by hand is kept, shown with who and when, and taken back", async () => {
  const { quota, inForce, log } = await world();
  expect((await quota("show", "nova")).out).not.toContain("pools file");

  const set = await quota(
    "set",
    "nova",
    "tokens-per-minute=800000",
    "requests-per-minute=400",
    "--by",
    "anna",
  );
  expect(set).toMatchObject({ code: 0, err: "" });
  const changed = { tokensPerMinute: 800_000, requestsPerMinute: 400 };
  expect(await log.entries("nova", 5)).toEqual([
    { atMs: expect.any(Number), by: "anna", from: DECLARED, to: changed },
  ]);
  const shown = (await quota("show", "nova")).out;
  expect(shown).toMatch(/Set by anna at \d{4}-[^]*tokens-per-minute 800,000, the pools file says 1,000,000/);
  expect(shown).toContain("requests-per-minute 400, the pools file says 600");

  const reset = await quota("reset", "nova", "--by", "ben");
  expect(reset).toMatchObject({ code: 0, err: "" });
  expect(await inForce()).toEqual(DECLARED);
  expect((await quota("show", "nova")).out).not.toContain("pools file");
  expect((await log.entries("nova", 5)).map(({ by }) => by)).toEqual(["ben", "anna"]);
});

test("what is done by hand is on record before and after, with who and from where", async () => {
  const { sluice, quota, operations, limiter } = await world();
  const here = `${userInfo().username}@${hostname()}`;
  expect(await sluice("breaker", "nova", "isolate", "--by", "anna")).toMatchObject({ code: 0, err: "" });
  expect((await limiter.inspect("nova")).breaker.phase).toBe("isolated");
  const opened = await sluice("breaker", "nova", "open", "--for-seconds", "5");
  expect(opened.out).toMatch(/^nova: breaker isolated -> open, tries a call at \d{4}-[^ ]+Z\n$/);
  const set = await quota("set", "nova", "tokens-per-minute=800000", "--by", "ben", "--json");
  expect(JSON.parse(set.out)).toEqual({ pool: "nova", version: 2 });
  await quota("reset", "nova");
  const acts = (await operations.entries("nova", 20)).toReversed();
  const twice = (action: string, by: string) =>
    ["intent", "done"].map((phase) => ({ phase, action, by, from: here }));
  expect(acts).toMatchObject([
    ...twice("breaker isolate", "anna"),
    ...twice("breaker open for 5 s", here),
    ...twice("quota set tokens-per-minute=800000", "ben"),
    ...twice("quota reset", here),
  ]);
  expect(new Set(acts.map(({ id }) => id)).size).toBe(4);
  expect((await quota("show", "nova")).out).toMatch(
    /by hand: quota set [^\n]*, by ben \([^\n]+@[^\n]+\) at \d{4}-/,
  );

  // What is refused before it is tried leaves nothing; what fails says so.
  expect((await sluice("breaker", "nova", "close", "--by", "an\u001b[31mna")).code).toBe(1);
  const unknown = await sluice("breaker", "nova", "explode");
  expect(unknown).toMatchObject({
    code: 1,
    err: expect.stringContaining("open, close, isolate, release-day"),
  });
  expect((await quota("set", "nova", "tokens-per-minute")).err).toContain(
    "Expected tokens-per-minute=<a number above 0, or none>, got 'tokens-per-minute'",
  );
  expect(await operations.entries("nova", 20)).toHaveLength(8);
});

test("a quota that the file does not have is taken away by a reset", async () => {
  const { quota, inForce } = await world({ quota: { tokensPerMinute: 1_000_000 } });
  await quota("set", "nova", "requests-per-minute=60", "--yes");
  expect(await inForce()).toEqual({ tokensPerMinute: 1_000_000, requestsPerMinute: 60 });
  await quota("reset", "nova");
  expect(await inForce()).toEqual({ tokensPerMinute: 1_000_000 });
});

test("show says what each lane gets at least, as text and as JSON", async () => {
  const { quota } = await world({ lanes: ["now", { name: "later", share: 0.2 }], pace: 1 });
  const { out } = await quota("show", "nova");
  expect(out).toMatch(/lane now +goes first\n/);
  expect(out).toMatch(/lane later +what the lanes above leave, at least 20 %: .*200,000 tokens.* a minute/);
  const json: unknown = JSON.parse((await quota("show", "nova", "--json")).out);
  expect(json).toMatchObject({ pool: "nova", overrides: [], changes: [], limits: { pace: 1 } });
});

test.each(["0", "Infinity"])("a quota of %s is refused", async (value) => {
  const { quota, inForce } = await world();
  expect((await quota("set", "nova", `tokens-per-minute=${value}`, "--yes")).code).toBe(1);
  expect(await inForce()).toEqual(DECLARED);
});

test("the name of what every object has is no quota and no pool", async () => {
  const { quota, inForce } = await world();
  const set = await quota("set", "nova", "constructor=5");
  expect(set).toMatchObject({ code: 1, err: expect.stringContaining("Expected a quota of") });
  const shown = await quota("show", "constructor");
  expect(shown).toMatchObject({ code: 1, err: expect.stringContaining("There is no pool") });
  expect(await inForce()).toEqual(DECLARED);
});

test("what is wrong with an argument is told without its control characters", async () => {
  const { sluice } = await world();
  const odd = "\u001b]0;owned\u0007\u001b[2J\r\u202e";
  for (const args of [["breaker", "nova", "open", "--by", odd], [odd]]) {
    const { code, err } = await sluice(...args);
    expect(code).toBe(1);
    expect(err).toContain(String.raw`\u001b]0;owned`);
    expect(err.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  }
});

test("what the file hardly means is told before anything else", async () => {
  const { quota } = await world({ callTimeout: "50m", maxOutputTokens: 64_000 });
  expect((await quota("show", "nova")).err).toMatch(
    /sluice: warning: line 1: `pools.nova.callTimeout` of 3000 s/,
  );
});
