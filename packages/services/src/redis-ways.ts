/**
 * The ways to a Redis server, in order: a server on the PATH, the distribution's package unpacked without
 * root, Docker. The first that works wins; when none does, one error says what to install on each system.
 */
import { debianRedis } from "./debian-redis.ts";
import { ServicesError } from "./errors.ts";
import type { GuardOrder } from "./guard-order.ts";
import { findProgram, type Host, runs } from "./host.ts";

const IMAGE = "redis:8-alpine";

/** A way to run a Redis server. */
export interface RedisWay {
  /** For the summary, e.g. `/usr/bin/redis-server` or `Docker, redis:8-alpine`. */
  readonly origin: string;
  readonly readyTimeoutMs: number;
  /** What a guard runs: a server on 127.0.0.1:`port` with its data in `folder` and these settings. */
  order(folder: string, port: number, settings: readonly string[]): GuardOrder;
}

/**
 * @param onProgress hears of downloads and of ways that failed.
 * @throws ServicesError REDIS_NOT_FOUND.
 */
export async function findRedis(host: Host, onProgress: (line: string) => void): Promise<RedisWay> {
  const tried: string[] = [];
  const failed = (line: string): void => {
    tried.push(line);
    onProgress(`Redis: ${line}`);
  };
  return (
    (await fromPath(host, failed)) ??
    (await fromDebian(host, onProgress, failed)) ??
    (await fromDocker(host, onProgress)) ??
    notFound(tried)
  );
}

async function fromPath(host: Host, failed: (line: string) => void): Promise<RedisWay | undefined> {
  for (const name of ["redis-server", "valkey-server"]) {
    const command = await findProgram(host, name);
    if (command === undefined) continue;
    if (await runs(command, ["--version"], { timeoutMs: 5_000 })) return nativeServer(command, {});
    failed(`${command} is there but does not run`);
  }
  return undefined;
}

async function fromDebian(
  host: Host,
  onProgress: (line: string) => void,
  failed: (line: string) => void,
): Promise<RedisWay | undefined> {
  try {
    const server = await debianRedis(host, onProgress);
    return server && nativeServer(server.command, server.env);
  } catch (error) {
    failed(
      `apt-get could not bring the package (${error instanceof Error ? error.message.trim() : String(error)})`,
    );
    return undefined;
  }
}

function nativeServer(command: string, env: Readonly<Record<string, string>>): RedisWay {
  return {
    origin: command,
    readyTimeoutMs: 15_000,
    order: (folder, port, settings) => ({
      command,
      args: ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, ...settings],
      env: { ...env },
      afterwards: [],
    }),
  };
}

async function fromDocker(host: Host, onProgress: (line: string) => void): Promise<RedisWay | undefined> {
  const docker = await findProgram(host, "docker");
  if (docker === undefined || !(await runs(docker, ["info"], { timeoutMs: 5_000 }))) return undefined;
  onProgress(`Redis: starting ${IMAGE} in Docker; the first time the engine fetches the image`);
  return dockerServer(docker);
}

/**
 * `docker run` in the foreground passes SIGTERM on, so a guard treats the container as it does a process.
 * `rm --force` afterwards is for the client that was killed and left its container behind.
 */
export function dockerServer(docker: string): RedisWay {
  return {
    origin: `Docker, ${IMAGE}`,
    readyTimeoutMs: 180_000,
    order: (folder, port, settings) => {
      const name = `sluice-redis-${String(process.pid)}-${String(port)}`;
      // As us, or its files in our folder would belong to someone else and could not be removed.
      const user =
        process.getuid && process.getgid ? [`${String(process.getuid())}:${String(process.getgid())}`] : [];
      const run = ["run", "--rm", "--name", name, ...user.flatMap((id) => ["--user", id])];
      const reach = ["--volume", `${folder}:/data`, "--publish", `127.0.0.1:${String(port)}:6379`];
      // Only the published loopback port leads in, but for Redis that is a foreign address.
      const server = ["redis-server", "--dir", "/data", "--protected-mode", "no", ...settings];
      return {
        command: docker,
        args: [...run, ...reach, IMAGE, ...server],
        env: {},
        afterwards: [[docker, "rm", "--force", name]],
      };
    },
  };
}

function notFound(tried: readonly string[]): never {
  const what = [
    "No Redis found: no redis-server or valkey-server on the PATH, no apt-get that could fetch one, and no Docker engine that answers.",
    ...tried.map((line) => `  ${line}`),
    "Install one and run this again:",
    "  macOS           brew install redis",
    "  Debian, Ubuntu  sudo apt-get install redis-server",
    "  Fedora          sudo dnf install valkey",
    "  Windows         use WSL with one of the lines above",
    "  anywhere        start Docker",
    "Or pass the URL of a Redis that runs.",
  ];
  throw new ServicesError("REDIS_NOT_FOUND", what.join("\n"));
}
