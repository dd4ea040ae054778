/** The Redis of a deployment, as a command finds it: there and fit, or the command ends with a sentence. */
import {
  assertFit,
  connect,
  isUnfit,
  RedisClock,
  timeSource,
  tlsHint,
  type ConnectionProfile,
} from "@sluice/redis";

export type OpenRedis = ReturnType<typeof connect>;

/** Its caller ends the connection. @throws Error saying why it does not answer, or may not be used. */
export async function openRedis(url: string, profile: ConnectionProfile): Promise<OpenRedis> {
  let unreachable: Error | undefined;
  const redis = connect(url, profile, (error) => (unreachable = error));
  try {
    await assertFit(redis);
    return redis;
  } catch (error) {
    const hint = tlsHint(redis);
    redis.disconnect();
    if (isUnfit(error)) throw error;
    const reason = unreachable?.message ?? (error instanceof Error ? error.message : String(error));
    throw new Error(`Redis at REDIS_URL does not answer: ${reason}${hint}`, { cause: error });
  }
}

/** The time that all programs of a deployment share, as Redis tells it now. */
export async function sharedClock(redis: OpenRedis, namespace: string): Promise<() => number> {
  const clock = new RedisClock({ source: timeSource(redis, namespace) });
  await clock.known();
  return clock.now;
}
