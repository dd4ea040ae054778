/**
 * How Sluice talks to Redis: three profiles, because a blocked worker, a waiting producer and a script on the
 * hot path want opposite things from a connection that has gone quiet.
 */
import { Redis, type RedisOptions } from "ioredis";

/**
 * `worker`: never gives up, survives outages of any length (BullMQ workers and event readers).
 * `producer`: fails fast, so that a caller gets an honest error instead of a hanging request.
 * `command`: bounded waits for scripts on the path of a running job; the caller decides what a failure means.
 */
export type ConnectionProfile = "worker" | "producer" | "command";

/**
 * Longer than the longest blocking read (10 s), so a healthy idle connection is never cut. Without it a
 * silently dead connection stops a worker for good, with no event.
 */
const SOCKET_TIMEOUT_MS = 20_000;

/** Recovery after an outage lags by at most this much; BullMQ's own strategy climbs to 20 s. */
const MAX_RECONNECT_DELAY_MS = 1_000;

const common: RedisOptions = {
  socketTimeout: SOCKET_TIMEOUT_MS,
  connectTimeout: 5_000,
  retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), MAX_RECONNECT_DELAY_MS),
};

const profiles: Record<ConnectionProfile, RedisOptions> = {
  worker: { ...common, maxRetriesPerRequest: null },
  producer: { ...common, maxRetriesPerRequest: 1, commandTimeout: 2_000 },
  command: { ...common, maxRetriesPerRequest: 1, commandTimeout: 1_000 },
};

/** The options of a profile, for libraries that open their own connections. */
export function connectionOptions(profile: ConnectionProfile): RedisOptions {
  return { ...profiles[profile] };
}

/**
 * Opens a connection. It connects in the background and reconnects by itself; the owner calls `disconnect()`.
 * @param onError called for every connection error. Required: an unheard `error` event would print to stderr.
 */
export function connect(url: string, profile: ConnectionProfile, onError: (error: Error) => void): Redis {
  // Named so that the type is one ioredis knows: 'legacy' keeps the reply shapes BullMQ is written for.
  const redis = new Redis(url, { ...connectionOptions(profile), replyMapping: "legacy" });
  redis.on("error", onError);
  return redis;
}
