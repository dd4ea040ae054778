/**
 * When a process that leaves has nothing to wait for: no call is in flight, and Redis answers no command, so nothing is
 * taken back. Its connection does not say so: one to a server that hangs stays ready for as long as the socket lives.
 */
import { setTimeout as sleep } from "node:timers/promises";

export interface StrandedOptions {
  /** Calls in flight. */
  readonly running: () => number;
  /** Jobs that Redis would have to take back, those of the calls included. */
  readonly inHand: () => number;
  /** Rejects when Redis does not answer, within a second or so. */
  readonly ask: () => Promise<unknown>;
}

/** Pause between two looks, milliseconds. */
const LOOK_MS = 100;

/**
 * How long Redis is silent before it counts as gone, milliseconds. With jobs in hand: what a failover takes. Those that are
 * not handed back wait for the stall check.
 */
const SILENT_MS = { empty: 1_000, inHand: 5_000 } as const;

/** Resolves when that is so, or when the signal fires. */
export async function untilStranded(
  { running, inHand, ask }: StrandedOptions,
  signal: AbortSignal,
): Promise<void> {
  let silentSince: number | undefined;
  while (!signal.aborted) {
    const askedAt = performance.now();
    const answers = running() > 0 || (await answered(ask));
    if (answers) silentSince = undefined;
    else silentSince ??= askedAt;
    const patienceMs = inHand() > 0 ? SILENT_MS.inHand : SILENT_MS.empty;
    if (silentSince !== undefined && performance.now() - silentSince >= patienceMs) return;
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}

async function answered(ask: () => Promise<unknown>): Promise<boolean> {
  return ask().then(
    () => true,
    () => false,
  );
}
