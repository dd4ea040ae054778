/** What the trials share: a DynamoDB and a folder. Each has a Redis, a simulator and a Sluice of its own. */
import { join } from "node:path";
import { startRedis, startServices, type RunningService } from "@sluice/services";
import { connect } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { RunOptions } from "../command.ts";

export interface Ground extends AsyncDisposable {
  readonly dynamoDbUrl: string;
  /** A folder that nobody else was given. */
  readonly newFolder: () => string;
}

export async function openGround({ dataDir, dynamoDbUrl, onProgress }: RunOptions): Promise<Ground> {
  const services = await startServices({ dataDir, dynamoDbUrl, onProgress, only: ["dynamoDb"] });
  let folders = 0;
  return {
    dynamoDbUrl: services.dynamoDbUrl,
    newFolder() {
      folders += 1;
      return join(services.runFolder, `trial-${folders}`);
    },
    [Symbol.asyncDispose]: async () => services.stop(),
  };
}

/** A Redis of a trial's own. @param settings as arguments of redis-server. */
export async function ownRedis(ground: Ground, ...settings: string[]): Promise<RunningService> {
  return startRedis({ dataDir: ground.newFolder(), settings });
}

/** A connection of an administrator, who meets outages. Close it. */
export function administer(url: string): Redis & Disposable {
  const redis = connect(url, "command", () => {});
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
}

/** One figure of INFO; 0 where there is none. */
export async function figure(redis: Redis, section: string, field: string): Promise<number> {
  const text = await redis.info(section);
  return Number(new RegExp(`^${field}:(?:count=)?(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

/** Writes that this Redis has refused for lack of memory since it started, whoever asked. */
export async function refusedWrites(redis: Redis): Promise<number> {
  return figure(redis, "errorstats", "errorstat_OOM");
}

/** What is pushed at a time, bytes: what the allocator rounds a larger value up to would be far beyond the brim. */
const PIECES = [240_000, 8_000, 1_000];

/** Another tenant's key, that leaves no room. Resolves when a write is refused. */
export async function fillToTheBrim(redis: Redis): Promise<void> {
  for (const size of PIECES) {
    const piece = "x".repeat(size);
    let isFull = false;
    while (!isFull) {
      isFull = await redis.rpush("foreign", piece).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Error && error.message.includes("OOM")) return true;
          throw error;
        },
      );
    }
  }
}
