/** Events as structured logs. Every line has an event name and the job's references; none has text of a prompt. */
import { scrubText, type Listener, type SluiceEvents } from "@sluice/job";
import { pino, type DestinationStream, type Level, type LogFn, type Logger } from "pino";
import { scrubFields } from "./scrub.ts";

/** How loud each event is. One entry per event: a new event does not compile until somebody decided. */
export const LEVELS: Readonly<Record<keyof SluiceEvents, Level>> = {
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
  "version:newer": "warn",
  "job:dead": "error",
  "job:recovered": "info",
  "job:lock-lost": "warn",
  "job:expired": "warn",
  "dead-letter:stored": "info",
  "dead-letter:blocked": "error",
  "breaker:changed": "warn",
  "quota:parked": "error",
  "quota:short": "warn",
  "quota:renewed": "info",
  "quota:doubtful": "warn",
  "operation:denied": "warn",
  "identity:lost": "error",
  "identity:found": "info",
  "way:lost": "error",
  "way:found": "info",
  "pool:held": "warn",
  "pool:shut": "warn",
  "pool:reopened": "info",
  "ceiling:cut": "warn",
  "ceiling:restored": "info",
  "gate:shut": "error",
  "gate:opened": "info",
  "slots:full": "warn",
  "slots:free": "info",
  "retries:exhausted": "warn",
  "retries:granted": "info",
  "limits:changed": "info",
  "quota:overridden": "warn",
  "operator:acted": "warn",
  "lane:unserved": "warn",
  "config:warning": "warn",
  "worker:error": "error",
  "error:repeated": "error",
  "error:over": "info",
  "redis:trouble": "error",
  "redis:recovered": "info",
  "redis:new": "info",
  "redis:emptied": "error",
  "redis:restarted": "warn",
  "start:lacks": "error",
  "start:found": "info",
  "worker:started": "info",
  "worker:stopped": "info",
};

export interface LoggerOptions {
  /** The program that logs, e.g. `worker`. */
  readonly name: string;
  /** Default `info`. It holds for all but what is on record, see `auditLogger`. */
  readonly level?: Level | "silent";
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/**
 * A JSON logger. Times are ISO 8601, so that a person can read them too. Whatever it is given, an error is logged as
 * what may be told of it, and no text with the password of a URL.
 */
export function createLogger({ name, level = "info", destination }: LoggerOptions): Logger {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: scrubFields },
      // What `scrubFields` has made of it; the default would add an error's own fields again.
      serializers: { err: (told: unknown) => told },
      hooks: {
        logMethod(args, method) {
          const [first, ...rest] = args;
          // An error by itself becomes a field, and its message the line's.
          const fields: unknown = first;
          if (!(fields instanceof Error)) return method.apply(this, scrubbed(args));
          return method.apply(
            this,
            scrubbed([{ err: fields }, ...(rest.length > 0 ? rest : [fields.message])]),
          );
        },
      },
    },
    // Synchronous: a line that is still on its way is lost when the process exits, and the last lines matter most.
    destination ?? pino.destination({ sync: true }),
  );
}

/** What people have done. It is on record however quiet a program is told to be. */
const ON_RECORD: ReadonlySet<keyof SluiceEvents> = new Set(["operator:acted"]);

/**
 * A logger beside another one for what must be on record: it has its destination, and a level of its own. `LOG_LEVEL` is
 * for what a program says of itself; whoever may set it must not be able to act unseen by it.
 */
export function auditLogger(logger: Logger): Logger {
  return logger.child({}, { level: "info" });
}

/** Logs every event with its name as message and its data as fields. */
export function logEvents(logger: Logger): Listener {
  const audit = auditLogger(logger);
  return (name, event) => {
    const fields: object = event;
    (ON_RECORD.has(name) ? audit : logger)[LEVELS[name]](fields, name);
  };
}

function scrubbed(args: readonly unknown[]): Parameters<LogFn> {
  const texts = args.map((arg) => (typeof arg === "string" ? scrubText(arg) : arg));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same places, with texts where texts were
  return texts as unknown as Parameters<LogFn>;
}
