import { access, chmod, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { startServices } from "../src/index.ts";
import { isAlive, parentOf } from "./processes.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true });
});

test("twice in a row: each run has processes and a folder of its own and leaves neither", async () => {
  const seen = new Set<number>();
  for (const run of [1, 2]) {
    const services = await startServices({ dataDir });
    const guard = parentOf(services.found.redis.pid ?? 0);
    const pids = [guard, ...Object.values(services.found).map(({ pid }) => pid ?? 0)];
    expect(pids.map(isAlive)).toEqual([true, true, true, true]);
    for (const pid of pids) seen.add(pid);
    expect(seen.size).toBe(4 * run);
    await services.stop();
    await services.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    await expect(access(services.runFolder)).rejects.toThrow("ENOENT");
  }
});

test("runs at the same time in one folder do not meet", async () => {
  const options = { dataDir, only: ["redis", "dynamoDb"] } as const;
  const [one, two] = await Promise.all([startServices(options), startServices(options)]);
  expect(new Set([one.redisUrl, two.redisUrl, one.dynamoDbUrl, two.dynamoDbUrl]).size).toBe(4);
  await Promise.all([one.stop(), two.stop()]);
});

test("keepData leaves the folder with data and logs", async () => {
  const services = await startServices({ dataDir, only: ["redis", "dynamoDb"], keepData: true });
  await services.stop();
  expect((await readdir(services.runFolder)).toSorted()).toEqual([
    "dynamodb",
    "dynamodb.log",
    "redis",
    "redis.log",
  ]);
});

test("given URLs are used as they are, and stop leaves those services alone", async () => {
  const given = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
  const services = await startServices({ dataDir, ...given, only: ["redis", "dynamoDb"] });
  expect(services).toMatchObject({ ...given, found: { redis: { origin: "given", pid: null } } });
  await services.stop();
  await using again = await startServices({ dataDir, ...given, only: ["redis", "dynamoDb"] });
  expect(again.redisUrl).toBe(given.redisUrl);
});

test("only what is wanted is started, and the type knows", async () => {
  await using services = await startServices({ dataDir, only: ["redis"] });
  expect(Object.keys(services.found)).toEqual(["redis"]);
  // @ts-expect-error -- not asked for
  expect(services.dynamoDbUrl).toBeUndefined();
});

test.each([
  [
    "redisUrl",
    "redis://user:secret@127.0.0.1:1",
    "Expected a Redis at redis://user:***@127.0.0.1:1 to answer PING",
  ],
  [
    "redisUrl",
    "127.0.0.1:6379",
    "Expected the Redis URL to look like redis://host:port, got '127.0.0.1:6379'",
  ],
  [
    "redisUrl",
    "user:secret@127.0.0.1:6379",
    "Expected the Redis URL to look like redis://host:port, got '***@127.0.0.1:6379'",
  ],
  ["dynamoDbUrl", "http://127.0.0.1:1", "Expected a DynamoDB at http://127.0.0.1:1 to answer"],
])("a %s that does not work (%s) says what is wrong", async (option, url, message) => {
  const start = startServices({ dataDir, only: ["redis", "dynamoDb"], [option]: url });
  await expect(start).rejects.toMatchObject({
    code: "UNREACHABLE",
    message: expect.stringContaining(message) as unknown,
  });
});

test("what a run writes is for its user alone, also below a folder that was open to all", async () => {
  const runs = join(dataDir, "runs");
  await mkdir(runs, { recursive: true });
  await chmod(runs, 0o755);
  await using services = await startServices({ dataDir, simulator: { models: {} } });
  for (const path of [runs, services.runFolder]) expect((await stat(path)).mode & 0o777).toBe(0o700);
  const entries = await readdir(services.runFolder, { recursive: true, withFileTypes: true });
  expect(entries.length).toBeGreaterThan(3);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    expect([path, (await stat(path)).mode & 0o077]).toEqual([path, 0]);
  }
});

test("a service that ends at its start shows its last log lines", async () => {
  const start = startServices({ dataDir, only: ["simulator"], simulator: { args: ["--no-such-flag"] } });
  await expect(start).rejects.toMatchObject({
    code: "EXITED",
    message: expect.stringMatching(
      /simulator ended by itself \(exit code \d+\)[^]*--no-such-flag/,
    ) as unknown,
  });
});
