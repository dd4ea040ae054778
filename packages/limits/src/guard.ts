/** What stays when Redis does not: a process that cannot ask must not call. */
import type { Limiter } from "./limiter.ts";

export interface GuardOptions {
  /** For how long nothing is asked after a question without an answer. Default 1000 ms. */
  readonly unansweredMs?: number;
  /** Milliseconds that only go forward. Default: the process's monotonic clock. */
  readonly now?: () => number;
  /** Hears why Redis did not answer. */
  readonly onUnanswered?: (error: unknown) => void;
}

/**
 * Closed for admission while Redis is away: `admit` then answers `open` with cause `local` instead of rejecting.
 * `settle` rejects as before; the caller holds its result and settles again. Mistakes (RangeError) pass through.
 */
export function guardLimiter(limiter: Limiter, options: GuardOptions = {}): Limiter {
  const { unansweredMs = 1_000, now = () => performance.now(), onUnanswered } = options;
  let until = -Infinity;
  return {
    async configure(pool, limits) {
      return limiter.configure(pool, limits);
    },
    async admit(request) {
      const leftMs = until - now();
      if (leftMs > 0) return { type: "open", afterMs: Math.ceil(leftMs), cause: "local" };
      try {
        return await limiter.admit(request);
      } catch (error) {
        if (error instanceof RangeError) throw error;
        onUnanswered?.(error);
        until = now() + unansweredMs;
        return { type: "open", afterMs: unansweredMs, cause: "local" };
      }
    },
    async settle(settlement) {
      return limiter.settle(settlement);
    },
  };
}
