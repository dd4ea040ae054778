/** Events as structured logs. Every line has an event name and the job's references; none has text of a prompt. */
import type { Listener, SluiceEvents } from "@sluice/job";
import { pino, type DestinationStream, type Level, type Logger } from "pino";

/** How loud each event is. One entry per event: a new event does not compile until somebody decided. */
const LEVELS: Readonly<Record<keyof SluiceEvents, Level>> = {
  "job:accepted": "debug",
  "job:granted": "debug",
  "job:completed": "info",
  "job:filtered": "warn",
  "job:cache-hit": "info",
  "job:cancelled": "info",
  "job:started": "info",
  "job:fallback": "warn",
  "job:retry": "warn",
  "job:deferred": "debug",
  "job:dead": "error",
  "job:recovered": "info",
  "job:lock-lost": "warn",
  "job:expired": "warn",
  "dead-letter:stored": "info",
  "dead-letter:blocked": "error",
  "breaker:changed": "warn",
  "quota:parked": "error",
  "quota:doubtful": "warn",
  "operation:denied": "warn",
  "identity:lost": "error",
  "identity:found": "info",
  "way:lost": "error",
  "way:found": "info",
  "pool:held": "warn",
  "limits:changed": "info",
  "quota:overridden": "warn",
  "config:warning": "warn",
  "worker:error": "error",
  "worker:started": "info",
  "worker:stopped": "info",
};

export interface LoggerOptions {
  /** The program that logs, e.g. `worker`. */
  readonly name: string;
  /** Default `info`. */
  readonly level?: Level | "silent";
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/** A JSON logger. Times are ISO 8601, so that a person can read them too. */
export function createLogger({ name, level = "info", destination }: LoggerOptions): Logger {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous: a line that is still on its way is lost when the process exits, and the last lines matter most.
    destination ?? pino.destination({ sync: true }),
  );
}

/** Logs every event with its name as message and its data as fields. */
export function logEvents(logger: Logger): Listener {
  return (name, event) => {
    const fields: object = event;
    logger[LEVELS[name]](fields, name);
  };
}
