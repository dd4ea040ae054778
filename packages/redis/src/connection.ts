/**
 * How Sluice talks to Redis: three profiles, because a blocked worker, a waiting producer and a script on the
 * hot path want opposite things from a connection that has gone quiet.
 */
import { Redis, type RedisOptions } from "ioredis";
import { reconnecting } from "./reconnect.ts";
import { UnfitRedisError } from "./unfit.ts";
import { databaseOf } from "./url.ts";

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
};

const profiles: Record<ConnectionProfile, RedisOptions> = {
  worker: { ...common, maxRetriesPerRequest: null },
  producer: { ...common, maxRetriesPerRequest: 1, commandTimeout: 2_000 },
  command: { ...common, maxRetriesPerRequest: 1, commandTimeout: 1_000 },
};

/**
 * The options of a profile, for libraries that open their own connections.
 * @param onRefused hears of a server that is no primary any more, before the connection looks for another.
 */
export function connectionOptions(
  profile: ConnectionProfile,
  onRefused?: (error: Error) => void,
): RedisOptions {
  return { ...profiles[profile], ...reconnecting(MAX_RECONNECT_DELAY_MS, onRefused) };
}

/** For so long a refusal says why a command gets no answer. Longer than the longest pause between two connections. */
const REFUSED_MS = 3_000;

/** Named so that the type is one ioredis knows: 'legacy' keeps the reply shapes BullMQ is written for. */
type LegacyOptions = RedisOptions & { readonly replyMapping: "legacy" };

/** A connection that is never used in another database than its URL names. */
class Connection extends Redis {
  #unfit: UnfitRedisError | undefined;
  #trouble: Error | undefined;
  #refused: Error | undefined;
  #refusedAt = -Infinity;

  constructor(options: LegacyOptions, url?: string) {
    if (url === undefined) super(options);
    else super(url, options);
    this.on("error", (error: Error) => this.#judge(error));
    this.on("ready", () => (this.#trouble = undefined));
  }

  /** Why this connection has been given up for good; `undefined` while it has not. */
  get unfit(): UnfitRedisError | undefined {
    return this.#unfit;
  }

  /** Why it is not connected, or not to a server that takes writes, as it was told last; `undefined` while it is. */
  get trouble(): Error | undefined {
    const refused = performance.now() - this.#refusedAt < REFUSED_MS ? this.#refused : undefined;
    return this.#trouble ?? refused;
  }

  /** A server that is no primary any more has refused a command, which waits for another. */
  noteRefusal(error: Error): void {
    this.#refused = error;
    this.#refusedAt = performance.now();
  }

  override duplicate(override?: Partial<RedisOptions>): Redis {
    return new Connection({ ...this.options, ...override, replyMapping: "legacy" });
  }

  /** The driver would go on in database 0. */
  #judge(error: Error): void {
    this.#trouble = error;
    const command: unknown = Reflect.get(error, "command");
    const name: unknown = typeof command === "object" && command !== null && Reflect.get(command, "name");
    if (name !== "select" || !/^(?:ERR|NOPERM)/.test(error.message)) return;
    this.#unfit ??= new UnfitRedisError(
      `Redis has no database ${this.options.db ?? 0} for us: ${error.message}. ` +
        "Name one in the path of the Redis URL that it has, or raise its setting `databases`",
    );
    this.disconnect();
  }
}

/** Why a connection has been given up for good; `undefined` while it has not. */
export function unfitOf(redis: Redis): UnfitRedisError | undefined {
  return redis instanceof Connection ? redis.unfit : undefined;
}

/** Why a connection is not there: what the driver says of a command that could not be sent tells nothing. */
export function troubleOf(redis: Redis): Error | undefined {
  return redis instanceof Connection ? redis.trouble : undefined;
}

/**
 * Opens a connection. It connects in the background and reconnects by itself; the owner calls `disconnect()`.
 * @param onError called for every connection error. Required: an unheard `error` event would print to stderr.
 * @throws RangeError when the URL names no database that there could be.
 */
export function connect(url: string, profile: ConnectionProfile, onError: (error: Error) => void): Redis {
  databaseOf(url);
  const onRefused = (error: Error): void => {
    redis.noteRefusal(error);
    onError(error);
  };
  const redis = new Connection({ ...connectionOptions(profile, onRefused), replyMapping: "legacy" }, url);
  redis.on("error", onError);
  return redis;
}
