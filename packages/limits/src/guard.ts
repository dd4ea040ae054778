/**
 * The small breaker of one process, in front of the shared one. It stays when Redis does not: a process that
 * cannot ask must not call, and one that sees nothing but failures need not wait for the fleet to agree.
 */
import type { Limiter } from "./limiter.ts";

export interface GuardOptions {
  /** Failures in a row, as this process sees them, that stop it. Default 10. */
  readonly failures?: number;
  /** For how long it then asks for nothing, and after an unanswered question. Default 5000 / 1000 ms. */
  readonly openMs?: number;
  readonly unansweredMs?: number;
  /** The time in ms. Default: the system clock; only differences matter. */
  readonly now?: () => number;
  /** Hears why Redis did not answer. */
  readonly onUnanswered?: (error: unknown) => void;
}

/**
 * Closed for admission while Redis is away: `admit` then answers `open` with cause `local` instead of rejecting.
 * `settle` rejects as before; the caller holds its result and settles again. Mistakes (RangeError) pass through.
 */
export function guardLimiter(limiter: Limiter, options: GuardOptions = {}): Limiter {
  const { failures = 10, openMs = 5_000, unansweredMs = 1_000, now = Date.now, onUnanswered } = options;
  const pools = new Map<string, { inRow: number; until: number }>();
  const localOf = (pool: string): { inRow: number; until: number } => {
    const known = pools.get(pool);
    if (known) return known;
    const fresh = { inRow: 0, until: -Infinity };
    pools.set(pool, fresh);
    return fresh;
  };
  return {
    async configure(pool, limits) {
      return limiter.configure(pool, limits);
    },
    async admit(request) {
      const local = localOf(request.pool);
      const leftMs = local.until - now();
      if (leftMs > 0) return { type: "open", afterMs: Math.ceil(leftMs), cause: "local" };
      try {
        return await limiter.admit(request);
      } catch (error) {
        if (error instanceof RangeError) throw error;
        onUnanswered?.(error);
        local.until = now() + unansweredMs;
        return { type: "open", afterMs: unansweredMs, cause: "local" };
      }
    },
    async settle(settlement) {
      const local = localOf(settlement.pool);
      const { outcome } = settlement;
      if (outcome === "ok") local.inRow = 0;
      else if (outcome === "failed" || outcome === "timeout") local.inRow += 1;
      if (local.inRow >= failures) {
        local.inRow = 0;
        local.until = now() + openMs;
      }
      return limiter.settle(settlement);
    },
  };
}
