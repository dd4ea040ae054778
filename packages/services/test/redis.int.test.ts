import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, inject, test, vi } from "vitest";
import { thisHost } from "../src/host.ts";
import { startRedis } from "../src/index.ts";
import { findRedis } from "../src/redis-ways.ts";
import { isAlive, parentOf } from "./processes.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true });
});

async function withClient<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { replyMapping: "legacy" });
  // A server that is still starting refuses connections; the client goes on trying.
  redis.on("error", () => {});
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

describe("the Redis of the integration tests", () => {
  test("answers", async () => {
    expect(await withClient(inject("redisUrl"), async (redis) => redis.ping())).toBe("PONG");
  });
});

describe("startRedis", () => {
  test("keeps what is written: append-only file every second, nothing evicted, loopback only", async () => {
    await using redis = await startRedis({ dataDir });
    const settings = await withClient(redis.url, async (client) =>
      Promise.all(
        ["appendonly", "appendfsync", "maxmemory-policy", "bind", "save"].map(async (name) =>
          client.config("GET", name),
        ),
      ),
    );
    expect(Object.fromEntries(settings)).toEqual({
      appendonly: "yes",
      appendfsync: "everysec",
      "maxmemory-policy": "noeviction",
      bind: "127.0.0.1",
      save: "",
    });
  });

  test("comes back on the same port with its data after a crash", async () => {
    await using redis = await startRedis({ dataDir });
    const { url, pid } = redis;
    // Redis writes the file before it answers. `everysec` is about the disk, which outlives a process.
    await withClient(url, async (client) => client.set("kept", "yes"));
    await redis.kill();
    expect(isAlive(pid)).toBe(false);
    await redis.restart();
    expect(redis.url).toBe(url);
    expect(redis.pid).not.toBe(pid);
    expect(await withClient(url, async (client) => client.get("kept"))).toBe("yes");
  });

  test("restart of one that runs keeps its data, stop ends it, and stop again does nothing", async () => {
    await using redis = await startRedis({ dataDir });
    await withClient(redis.url, async (client) => client.set("kept", "yes"));
    await redis.restart();
    expect(await withClient(redis.url, async (client) => client.get("kept"))).toBe("yes");
    await redis.stop();
    expect(isAlive(redis.pid)).toBe(false);
    await redis.stop();
  });

  test("ends when its guard is killed", async () => {
    await using redis = await startRedis({ dataDir });
    process.kill(parentOf(redis.pid), "SIGKILL");
    await vi.waitFor(() => {
      expect(isAlive(redis.pid)).toBe(false);
    });
  });

  test("never takes somebody else's Redis on its port for its own", async () => {
    const redis = await startRedis({ dataDir });
    await redis.stop();
    const way = await findRedis(thisHost(), () => {});
    const { command, args, env } = way.order(tmpdir(), Number(new URL(redis.url).port), ["--save", ""]);
    const other = spawn(command, args, { env: { ...process.env, ...env }, stdio: "ignore" });
    const ended = once(other, "exit");
    await withClient(redis.url, async (client) => client.ping());
    await expect(redis.restart()).rejects.toMatchObject({
      code: "PORT_TAKEN",
      message: expect.stringMatching(/Last lines of .*redis\.log:[^]*Address already in use/) as unknown,
    });
    other.kill();
    await ended;
    await redis.restart();
    await redis.stop();
  });
});
