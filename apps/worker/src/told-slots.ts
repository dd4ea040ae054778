/** The slots of a lane, which say so when none has been free for long. */
import type { Emit } from "@sluice/job";
import type { ReleaseSlot } from "@sluice/queue";

/** Long beside most calls, milliseconds. */
const LONG_MS = 30_000;

export interface ToldSlotsOptions {
  readonly pool: string;
  /** Slots of the pool in this process. */
  readonly slots: number;
  readonly emit: Emit;
  /** Default 30,000 ms. */
  readonly longMs?: number;
}

type Acquire = (lane: string, signal: AbortSignal) => Promise<ReleaseSlot | undefined>;

/** Acquires as `acquire` does. */
export function toldAcquire(
  acquire: Acquire,
  { pool, slots, emit, longMs = LONG_MS }: ToldSlotsOptions,
): Acquire {
  return async (lane, signal) => {
    const since = performance.now();
    let told = false;
    const timer = setTimeout(() => {
      told = true;
      emit("slots:full", { pool, lane, slots });
    }, longMs);
    timer.unref();
    try {
      return await acquire(lane, signal);
    } finally {
      clearTimeout(timer);
      if (told) emit("slots:free", { pool, lane, lastedMs: Math.round(performance.now() - since) });
    }
  };
}
