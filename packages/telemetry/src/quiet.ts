/**
 * Says of an error that comes again and again: that it came, every so often how often it has come since, and that it no
 * longer does. An outage of Redis is one such error, whichever part meets it and whatever the driver calls it. One whose
 * cause another event tells, as `redis:trouble` does, is counted alone.
 */
import type { Listener, RepeatedError, SluiceEvents } from "@sluice/job";
import { Causes } from "./causes.ts";

export interface QuietOptions {
  /** Milliseconds between two summaries. Default 10,000. */
  readonly everyMs?: number;
  /** An error is over when none came for so long: longer than the pause between two tries of any part. Default 30,000. */
  readonly overMs?: number;
  /** Kinds of error that are told apart; those beyond are one. Default 50. */
  readonly kinds?: number;
  /** Milliseconds; only differences matter. Default: the monotonic clock. */
  readonly now?: () => number;
}

/** A listener that hears everything, and its end. */
export type QuietListener = Listener & {
  /** Tells what has been counted and not told yet, and ends. */
  stop(): void;
};

const DEFAULTS = { everyMs: 10_000, overMs: 30_000, kinds: 50 } as const;

/** An error of this kind waits for the event that tells its cause. */
const CAUSED = /^(?:redis |dynamodb$)/;

/** Longer than a look at Redis, and its tries at DynamoDB, take to find out. Milliseconds. */
const CAUSE_MS = 8_000;

/** Errors of one line of a summary; the most frequent ones. */
const LISTED = 20;

/** What many parts meet at once, by what its errors say. The first that fits. */
const SHARED: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ["dynamodb", /DynamoDB could not/],
  ["redis full", /\bOOM command not allowed/],
  ["redis disk", /\bMISCONF\b/],
  ["redis read-only", /\b(?:READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOREPLICAS)\b/],
  [
    "redis away",
    /\b(?:ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)\b|Connection is closed|max retries per request|Command timed out|Socket timeout|Stream isn't writeable|Command aborted due to connection close/i,
  ],
];

interface Counted {
  readonly part: string;
  readonly error: string;
  readonly firstAt: number;
  lastAt: number;
  times: number;
  /** Since the last summary. */
  fresh: number;
}

/** @param listener hears each error when it comes first, the summaries, and every other event as ever. */
export function quiet(listener: Listener, options: QuietOptions = {}): QuietListener {
  const { everyMs = DEFAULTS.everyMs, overMs = DEFAULTS.overMs, kinds = DEFAULTS.kinds } = options;
  const { now = () => performance.now() } = options;
  const counted = new Map<string, Counted>();
  const causes = new Causes();
  /** Told when they are due, unless their cause is told before. */
  const held = new Map<string, { readonly due: NodeJS.Timeout; readonly tell: () => void }>();
  let timer: NodeJS.Timeout | undefined;

  const tell = (name: "error:repeated" | "error:over", which: readonly Counted[]): void => {
    if (which.length === 0) return;
    const errors = which.toSorted((a, b) => b.times - a.times).slice(0, LISTED);
    listener(name, { errors: errors.map(shown) });
  };
  const summarise = (): void => {
    const all = [...counted];
    const again = all.filter(([, { fresh }]) => fresh > 0).map(([, each]) => each);
    const over = all.filter(([, { lastAt, fresh }]) => fresh === 0 && now() - lastAt >= overMs);
    tell("error:repeated", again);
    for (const each of again) each.fresh = 0;
    for (const [key] of over) counted.delete(key);
    tell(
      "error:over",
      // What came once has been told in full.
      over.map(([, each]) => each).filter(({ times }) => times > 1),
    );
    if (counted.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  /** Whether it comes for the first time. */
  const isFirst = (kind: string, part: string, error: string): boolean => {
    const key = counted.has(kind) || counted.size < kinds ? kind : "other";
    const known = counted.get(key);
    if (known !== undefined) {
      known.lastAt = now();
      known.times += 1;
      known.fresh += 1;
      return false;
    }
    counted.set(key, { part, error, firstAt: now(), lastAt: now(), times: 1, fresh: 0 });
    if (timer === undefined) {
      timer = setInterval(summarise, everyMs);
      timer.unref();
    }
    return true;
  };

  const hear: Listener = (name, event) => {
    if (name === "dead-letter:blocked" && "error" in event) {
      // That letters wait says no other event.
      if (isFirst(name, name, event.error)) listener(name, event);
      return;
    }
    if (name === "worker:error" && "part" in event && "error" in event) return hearError(event);
    for (const kind of causes.hear(name, event, (error) => kindOf("", error))) drop(kind);
    listener(name, event);
  };
  const hearError = (event: SluiceEvents["worker:error"]): void => {
    const kind = kindOf(event.part, event.error);
    if (!isFirst(kind, event.part, event.error) || causes.explain(kind)) return;
    const tellIt = (): void => listener("worker:error", event);
    if (!CAUSED.test(kind)) return tellIt();
    const due = setTimeout(() => {
      held.delete(kind);
      tellIt();
    }, CAUSE_MS);
    due.unref();
    held.set(kind, { due, tell: tellIt });
  };
  const drop = (kind: string): void => {
    clearTimeout(held.get(kind)?.due);
    held.delete(kind);
  };
  const stop = (): void => {
    clearInterval(timer);
    for (const { due, tell: tellIt } of held.values()) {
      clearTimeout(due);
      tellIt();
    }
    held.clear();
    tell(
      "error:repeated",
      [...counted.values()].filter(({ fresh }) => fresh > 0),
    );
    counted.clear();
  };
  return Object.assign(hear, { stop });
}

function shown({ part, error, times, firstAt, lastAt }: Counted): RepeatedError {
  return { part, error, times, lastedMs: Math.round(lastAt - firstAt) };
}

/** Errors of the same kind differ in names and numbers: of jobs, lanes, ports, times. */
function kindOf(part: string, error: string): string {
  const shared = SHARED.find(([, pattern]) => pattern.test(error));
  if (shared !== undefined) return shared[0];
  const text = error.replaceAll(/[a-z0-9-]+(?:\.[a-z0-9-]+)+|\d+/gi, "#");
  return `${part.split(" ", 1)[0] ?? ""}: ${text}`;
}
