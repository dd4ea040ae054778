/** Limits of time that do not take a standstill of this process for silence of the server. */

export interface TimeLimit {
  /** Begins anew, with so many milliseconds. */
  restart(ms: number): void;
  clear(): void;
}

/** What had arrived during a standstill is read within this, milliseconds. */
const CATCH_UP_MS = 3_000;

/**
 * Calls `onOver` once, `ms` from now. After a standstill timers are the first to wake, before what arrived meanwhile is
 * read: so a limit that ends right after one waits a moment more.
 */
export function timeLimit(ms: number, loop: LoopWatch, onOver: () => void): TimeLimit {
  let timer: NodeJS.Timeout | undefined;
  const restart = (forMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (loop.stoodAfter(performance.now() - CATCH_UP_MS)) restart(CATCH_UP_MS);
      else onOver();
    }, forMs);
  };
  restart(ms);
  return { restart, clear: () => clearTimeout(timer) };
}

export interface LoopWatch {
  /** Whether the event loop stood still at any time after `since`, by `performance.now()`. */
  stoodAfter(since: number): boolean;
  stop(): void;
}

const BEAT_MS = 500;

/**
 * A beat this late was not late for load: the process was paused, or something held its event loop. Milliseconds.
 */
const STANDSTILL_MS = 2_000;

/** Notices standstills of this process. What was measured across one says nothing about the server. */
export function watchLoop(): LoopWatch {
  let beatAt = performance.now();
  let stoodUntil = -Infinity;
  const note = (): void => {
    const now = performance.now();
    if (now - beatAt > BEAT_MS + STANDSTILL_MS) stoodUntil = now;
    beatAt = now;
  };
  const timer = setInterval(note, BEAT_MS);
  timer.unref();
  return {
    stoodAfter(since) {
      // What arrived may be read before the timer fires.
      note();
      return stoodUntil >= since;
    },
    stop: () => clearInterval(timer),
  };
}
