/** Says what is being started, and of a step that takes long that it goes on. */

/** Beyond it people wonder. */
const STILL_EVERY_MS = 10_000;

export interface Progress {
  /** A step begins: its line is told at once, and again with its time every so often until the next one. */
  step(line: string): void;
  /** The last step is over. */
  end(): void;
}

/** @param everyMs between two words about the same step, milliseconds. Default 10,000. */
export function startProgress(tell: (line: string) => void, everyMs: number = STILL_EVERY_MS): Progress {
  let timer: NodeJS.Timeout | undefined;
  return {
    step(line) {
      clearInterval(timer);
      const since = performance.now();
      tell(line);
      timer = setInterval(() => {
        const seconds = Math.round((performance.now() - since) / 1_000);
        tell(`  still at it after ${seconds} s: ${line}. Ctrl-C ends it`);
      }, everyMs);
    },
    end() {
      clearInterval(timer);
    },
  };
}
