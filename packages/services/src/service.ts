/** A service that was started here: where it is, and how tests crash it and bring it back. */
import type { Program } from "./program.ts";

export interface RunningService extends AsyncDisposable {
  readonly url: string;
  /** Process id of the service itself, not of its guard. Another one after `restart`. */
  readonly pid: number;
  /** How it came to be, for a summary, e.g. `/usr/bin/redis-server` or `dynalite`. */
  readonly origin: string;
  /** SIGKILL, as in a crash. Resolves when it is gone. Its data stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder, after `kill`, or after stopping it if it runs. */
  restart(): Promise<void>;
  /** Asks it to end and waits for that, bounded. Its data stays. A second call waits for the first. */
  stop(): Promise<void>;
}

/** One process of a service, from start to end. */
export interface Incarnation {
  readonly url: string;
  readonly pid: number;
  readonly program: Program<unknown>;
}

/**
 * Starts a service that can be killed and restarted.
 * @param launch starts it once, on the given port, or on a port of its choice.
 */
export async function runService(
  origin: string,
  launch: (port: number | undefined) => Promise<Incarnation>,
): Promise<RunningService> {
  let current = await launch(undefined);
  const { url } = current;
  const port = Number(new URL(url).port);
  const stop = async (): Promise<void> => current.program.stop();
  return {
    url,
    origin,
    get pid() {
      return current.pid;
    },
    async kill() {
      signal(current.pid, "SIGKILL");
      await current.program.ended;
    },
    async restart() {
      await stop();
      current = await launch(port);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Signals a process of ours; one that has just ended is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
