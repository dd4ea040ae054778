/**
 * When an open connection leads to the wrong server. After a fail-over the sockets to the former primary stay open, and
 * all it does is refuse: only a new connection finds the server that the name stands for now.
 */
import type { RedisOptions } from "ioredis";

/**
 * What a server says that was demoted, is loading another's data, or has lost its primary. None of these commands was
 * carried out, so each may be sent again. Scripts of Redis 6 say it in the middle of their error.
 */
const MOVED_ON = /(?:^|-)(?:READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOREPLICAS)\b/;

/** Send the command again on the next connection, as ioredis numbers it. */
const RESEND = 2;

/** Refusals that follow each other within this are of one fail-over, milliseconds. */
const SAME_FAILOVER_MS = 5_000;

const FIRST_DELAY_MS = 50;

/** All that is refused at once counts once: a connection has many commands under way, and a process many connections. */
const BURST_MS = 200;

/** Whether this is what a server says that is no primary (any more). */
export function isMovedOn(error: Error): boolean {
  return MOVED_ON.test(error.message);
}

/**
 * Reconnects after such an error, and sends the command again: also a blocking one, and a script. While the name still
 * leads to the old server, each new connection is refused too: they come ever more slowly, up to `longestMs` apart. The
 * connections that a library duplicates from one share its pace.
 * @param onRefused hears of such an error, once for all that is refused at once.
 */
export function reconnecting(
  longestMs: number,
  onRefused: (error: Error) => void = () => {},
): Pick<RedisOptions, "reconnectOnError" | "retryStrategy"> {
  let refusals = 0;
  let refusedAt = -Infinity;
  return {
    reconnectOnError(error) {
      if (!isMovedOn(error)) return false;
      const now = performance.now();
      if (now - refusedAt > BURST_MS) {
        refusals = now - refusedAt < SAME_FAILOVER_MS ? refusals + 1 : 1;
        refusedAt = now;
        onRefused(error);
      }
      return RESEND;
    },
    retryStrategy(attempt) {
      const recent = performance.now() - refusedAt < SAME_FAILOVER_MS ? refusals : 0;
      return Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt + recent, 6), longestMs);
    },
  };
}
