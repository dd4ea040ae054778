/** Redis for a demo, a test or a bench: found on this machine, started on loopback, and ours alone. */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { scrubText, scrubUrl } from "@sluice/job";
import { Redis } from "ioredis";
import { z } from "zod";
import { isServicesError, ServicesError } from "./errors.ts";
import type { GuardOrder } from "./guard-order.ts";
import { freePort, type Host, thisHost } from "./host.ts";
import { type Program, startProgram, within } from "./program.ts";
import { findRedis, type RedisWay } from "./redis-ways.ts";
import { type Incarnation, runService, type RunningService, signal } from "./service.ts";

const PORT_ATTEMPTS = 5;

const PORT_TAKEN = /address already in use|port is already allocated/i;

export interface RedisOptions {
  /** Absolute folder; gets `redis/` (data) and `redis.log`. Made if missing. Data that is there is loaded. */
  readonly dataDir: string;
  /**
   * When writes reach the disk. `everysec`: Redis may hold a write back for a moment while the disk is busy, and a kill
   * then loses it. `always`: no acknowledged write is lost, for tests that kill. Default `everysec`.
   */
  readonly fsync?: "everysec" | "always";
  /** Further settings, as arguments of redis-server; they win over those above. Default: none. */
  readonly settings?: readonly string[];
  /** Hears what is being done, one line each. Default: nobody. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** Where to look for programs and keep downloads. Default: this machine's PATH and cache folder. */
  readonly host?: Host | undefined;
}

/**
 * Starts a Redis of its own: append-only file, `noeviction`, 127.0.0.1 only, free port.
 * It ends with this process at the latest, however this process ends.
 * @throws ServicesError REDIS_NOT_FOUND, EXITED, NOT_READY.
 */
export async function startRedis(options: RedisOptions): Promise<RunningService> {
  const way = await findRedis(options.host ?? thisHost(), options.onProgress ?? (() => {}));
  const folder = join(options.dataDir, "redis");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const server: Server = {
    way,
    folder,
    logFile: join(options.dataDir, "redis.log"),
    fsync: options.fsync ?? "everysec",
    settings: options.settings ?? [],
    dumpName: `${randomBytes(8).toString("hex")}.rdb`,
  };
  return runService(way.origin, async (port) =>
    port === undefined ? launchOnFreePort(server) : launch(server, port),
  );
}

interface Server {
  readonly way: RedisWay;
  readonly folder: string;
  readonly logFile: string;
  readonly fsync: "everysec" | "always";
  readonly settings: readonly string[];
  /** A setting without effect here (no snapshots are taken), so its value can tell our server from another. */
  readonly dumpName: string;
}

/** Between finding a free port and listening on it, another process may take it; then the next one is tried. */
async function launchOnFreePort(server: Server): Promise<Incarnation> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launch(server, await freePort());
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !isServicesError(error, "PORT_TAKEN")) throw error;
    }
  }
}

async function launch(server: Server, port: number): Promise<Incarnation> {
  const url = `redis://127.0.0.1:${String(port)}`;
  const named = { name: "Redis", logFile: server.logFile };
  const program = await startProgram(
    {
      ...named,
      entry: "guard-main",
      args: [JSON.stringify(guardOrder(server, port))],
      ready: z.object({ pid: z.number().int() }),
    },
    server.way.readyTimeoutMs,
  );
  const { pid } = program.ready;
  void endWithGuard(program, pid);
  try {
    await within(server.way.readyTimeoutMs, named, untilItAnswers(url, server.dumpName, program));
  } catch (error) {
    await program.stop();
    const taken = isServicesError(error, "EXITED") && PORT_TAKEN.test(error.message);
    throw taken ? new ServicesError("PORT_TAKEN", error.message, { cause: error }) : error;
  }
  return { url, pid, program };
}

/** A guard that was killed could not end its service: then it is on us. */
async function endWithGuard(guard: Program<unknown>, pid: number): Promise<void> {
  const end = await guard.ended;
  if (end.signal !== null) signal(pid, "SIGTERM");
}

function guardOrder(server: Server, port: number): GuardOrder {
  const settings = ["--appendonly", "yes", "--appendfsync", server.fsync, "--maxmemory-policy", "noeviction"];
  const noSnapshots = ["--save", "", "--dbfilename", server.dumpName];
  return server.way.order(server.folder, port, [...settings, ...noSnapshots, ...server.settings]);
}

/** PING until it answers; while it loads its data it does not. Then makes sure that it is ours. */
async function untilItAnswers(url: string, dumpName: string, program: Program<unknown>): Promise<void> {
  const redis = new Redis(url, {
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    replyMapping: "legacy",
  });
  // Refused connections are what waiting looks like.
  redis.on("error", () => {});
  try {
    await Promise.race([redis.ping(), program.failure()]);
    const [, name] = await redis
      .config("GET", "dbfilename")
      .then((reply) => z.tuple([z.string(), z.string()]).parse(reply));
    // Someone else's Redis took the port, so ours is about to report that and exit.
    if (name !== dumpName) await program.failure();
  } finally {
    redis.disconnect();
  }
}

/**
 * Makes sure that a Redis given by URL answers, once and within 3 s.
 * @throws ServicesError UNREACHABLE. Passwords are left out of the message.
 */
export async function checkRedis(url: string): Promise<void> {
  const shown = withoutPassword(url);
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 3_000,
    commandTimeout: 3_000,
    retryStrategy: () => null,
    replyMapping: "legacy",
  });
  let reason = "";
  redis.on("error", (error: Error) => {
    reason = error.message;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    if (reason === "") reason = error instanceof Error ? error.message : String(error);
    const advice = "Start it, correct the URL, or leave the URL out and a Redis is started for you.";
    throw new ServicesError(
      "UNREACHABLE",
      `Expected a Redis at ${shown} to answer PING, got: ${reason}. ${advice}`,
      {
        cause: error,
      },
    );
  } finally {
    redis.disconnect();
  }
}

function withoutPassword(url: string): string {
  if (URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol)) return scrubText(url);
  throw new ServicesError(
    "UNREACHABLE",
    `Expected the Redis URL to look like redis://host:port, got '${scrubUrl(url)}'.`,
  );
}
