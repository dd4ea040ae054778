/** Redis for one test: connections and key spaces that end with it. Also used by the tests of other packages. */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { inject, onTestFinished } from "vitest";
import { connect, keySpace, type ConnectionProfile, type KeySpace } from "../src/index.ts";

/** A connection to the Redis of all tests, or to another. Outages are part of some tests, so its errors are not. */
export function testRedis(profile: ConnectionProfile, url: string = inject("redisUrl")): Redis {
  const redis = connect(url, profile, () => {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

/** A key space that no other test has. Its keys go when the test is over. */
export function testKeySpace(): KeySpace {
  const space = keySpace(`t-${randomBytes(6).toString("hex")}`, "main");
  const url = inject("redisUrl");
  onTestFinished(async () => {
    const redis = connect(url, "command", () => {});
    for await (const keys of redis.scanStream({ match: `${space}:*`, count: 1_000 })) {
      if (Array.isArray(keys) && keys.length > 0) await redis.unlink(keys.map(String));
    }
    redis.disconnect();
  });
  return space;
}
