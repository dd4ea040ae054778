/** A process guard before a gate that grants everything. */
import { vi } from "vitest";
import { createProcessGuard, type Admission, type Gate, type Settled, type Told } from "../src/index.ts";

export const EXPIRED: Told = { type: "refused", errorClass: "ExpiredTokenException" };
export const ACCEPTED: Told = { type: "accepted" };
/** What a call is told to have been that was refused for its own sake. */
export const OWN: Told = { type: "nothing" };

const cost = { requests: 1 };
const POOL = "claude";

/**
 * @param renewals what getting credentials comes to, `renewMs` later: the class of a failure, or `undefined`.
 */
export function given(renewals: (string | undefined)[] = [], renewMs = 0) {
  const events: unknown[] = [];
  const changes: unknown[] = [];
  const renewedAt: number[] = [];
  const admission: { next: Admission } = { next: { type: "granted", waitMs: 0 } };
  /** What the limiter knows of others. */
  const limiter: { answeredAgoMs?: number } = {};
  const asked: string[] = [];
  const settled: string[] = [];
  const guard = createProcessGuard({
    scope: "main",
    renew: async () => {
      renewedAt.push(Date.now());
      if (renewMs > 0) await new Promise((resolve) => setTimeout(resolve, renewMs));
      return renewals.shift();
    },
    onChange: (out) => void changes.push(out),
    emit: (name, event) => void events.push([name, event]),
    clock: Date.now,
    monotonic: () => performance.now(),
  });
  const gate: Gate = guard.guard({
    admit: async ({ id }) => {
      asked.push(id);
      return admission.next;
    },
    settle: async ({ outcome }): Promise<Settled> => {
      settled.push(outcome);
      return limiter;
    },
  });
  return {
    guard,
    asPool: { guard, pool: POOL },
    events,
    changes,
    renewedAt,
    admission,
    asked,
    settled,
    limiter,
    admit: async (id: string, pool = POOL) =>
      gate.admit({ pool, lane: "bulk", id, job: id, cost, ttlMs: 1_000 }),
    settle: async (id: string, outcome: "neutral" | "ok" = "neutral") =>
      gate.settle({ pool: POOL, id, outcome, actual: cost }),
    /** A call that found no connection. */
    miss: async (id: string) =>
      gate.settle({ pool: POOL, id, outcome: "failed", actual: {}, unreached: "ConnectionError" }),
    /** A call that is sent at once, and answered after `forMs`. Resolves to what it is taken for. */
    call: async (told: Told, forMs = 0, { pool = POOL, job = "job" } = {}) =>
      guard.hear({
        subject: { pool, job },
        make: async (onSent) => {
          onSent();
          await vi.advanceTimersByTimeAsync(forMs);
          return told;
        },
        tells: (result) => result,
        asOwn: () => OWN,
      }),
    /** Lets what is due at once happen. */
    now: async () => vi.advanceTimersByTimeAsync(0),
  };
}
