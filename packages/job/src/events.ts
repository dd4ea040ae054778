/**
 * Everything that happens, as typed events. Logs, metrics and traces subscribe; the code that decides knows none
 * of them. Events carry references and counts, never text of prompts or answers.
 */
import type { Failure, FailureKind } from "./failure.ts";
import type { Usage } from "./outcome.ts";

interface OfJob {
  readonly id: string;
  readonly tenant: string;
  readonly pool: string;
  readonly lane: string;
}

/** Event name to its fields. */
export interface SluiceEvents {
  /** A producer's job was written to its lane, or recognised as one accepted before. */
  "job:accepted": OfJob & { readonly repeated: boolean; readonly bytes: number };
  /** The limiter let the call go; `waitedMs` since the job was accepted. */
  "job:granted": OfJob & { readonly waitedMs: number };
  "job:completed": OfJob & {
    readonly waitedMs: number;
    readonly latencyMs: number;
    readonly usage: Usage;
    readonly model: string;
  };
  "job:filtered": OfJob & { readonly usage: Usage; readonly model: string; readonly stopReason: string };
  /** An answer given to an equal request before served this one too. */
  "job:cache-hit": OfJob;
  "job:cancelled": OfJob;
  /** Bedrock works on an async call; it is polled from now on. */
  "job:started": OfJob & { readonly invocationArn: string };
  /** Another pool of the chain makes the call. */
  "job:fallback": OfJob & { readonly to: string };
  /** The job goes to the delayed set and comes back. `attempt` says whether the try counts against the job. */
  "job:retry": OfJob & { readonly failure: Failure; readonly delayMs: number; readonly attempt: boolean };
  /** Handed back without a call, to come again in `delayMs`. */
  "job:deferred": OfJob & { readonly reason: DeferReason; readonly delayMs: number };
  /**
   * What a newer version of Sluice wrote was met, and is left to a program of that version. Told once per pool,
   * kind of record and version; `id` is of the first job that had one.
   */
  "version:newer": {
    readonly id: string;
    readonly pool: string;
    readonly what: string;
    readonly version: number;
    /** The newest that this program reads. */
    readonly known: number;
  };
  /** Failed for good; the mover takes it from the failed set. */
  "job:dead": OfJob & { readonly failure: Failure; readonly attempts: number };
  /** A result was found for a job that came back: nothing is called, nothing paid. */
  "job:recovered": OfJob;
  /** Redis no longer holds our lock; the call goes on and its result is stored first. */
  "job:lock-lost": { readonly id: string };
  /** A dead letter reached its store. */
  "dead-letter:stored": { readonly id: string; readonly errorClass: string; readonly kind: FailureKind };
  /** The store does not answer: dead jobs wait in the failed set. */
  "dead-letter:blocked": { readonly waiting: number; readonly error: string };
  /** The sweeper ended a job whose deadline passed while it waited. */
  "job:expired": { readonly id: string };
  /** A pool's breaker moved. Told once, by the process whose call moved it. */
  "breaker:changed": {
    readonly pool: string;
    readonly from: string;
    readonly to: string;
    /** When the next probe is due, milliseconds since the epoch; 0 when an operator says so. */
    readonly untilMs: number;
  };
  /**
   * Tokens per day are used up: the pool waits until then, and unless it is `alone` all pools of its scope. 0: released.
   */
  "quota:parked": { readonly pool: string; readonly untilMs: number; readonly alone: boolean };
  /** A job reserves more than is left of the day's tokens: such jobs wait, at most until the day ends in `forMs`. */
  "quota:short": { readonly pool: string; readonly forMs: number };
  /** Another day of tokens has begun, after so long. */
  "quota:renewed": { readonly pool: string; readonly lastedMs: number };
  /** The server gives far less than a quota of the pools file says, or no longer does. */
  "quota:doubtful": {
    readonly pool: string;
    readonly dimension: string;
    readonly doubtful: boolean;
    /** Fraction of the rate in use now, and what that is per minute. */
    readonly ceiling: number;
    readonly perMinute: number;
  };
  /**
   * Access to one operation of a pool (`converse`, `stream`, `invoke`, `invoke-stream`, `async`) is denied while another
   * is answered, or no longer is. The pool goes on, so jobs of that operation wait until somebody mends it. `process`: it
   * is denied to that one alone, by the name of its heartbeat; others are answered.
   */
  "operation:denied": {
    readonly pool: string;
    readonly operation: string;
    readonly denied: boolean;
    readonly process?: string;
  };
  /**
   * This process has no valid credentials for a scope: it asks for nothing of it, gets new ones, and lets one call try
   * them. `errorClass`: what refused them, or got in the way of getting any.
   */
  "identity:lost": { readonly scope: string; readonly errorClass: string };
  /** It has some again, after so long. */
  "identity:found": { readonly scope: string; readonly afterMs: number };
  /**
   * This process finds no way to a scope's Bedrock (refused connections, DNS, TLS) while others are answered: it asks for
   * nothing of it, and lets one call try now and then. `errorClass`: what the last call met.
   */
  "way:lost": { readonly scope: string; readonly errorClass: string };
  /** A call was sent again, after so long. */
  "way:found": { readonly scope: string; readonly afterMs: number };
  /** The server asked for it: a pool takes no calls until then, milliseconds since the epoch. */
  "pool:held": { readonly pool: string; readonly untilMs: number };
  /**
   * A pool takes no calls, as this process sees it every few seconds: `breaker` (open, half-open or suspected), `isolated`,
   * `day` or `hold`. `forMs`: as far as that is known now. Told again for each further cause while it lasts.
   */
  "pool:shut": { readonly pool: string; readonly cause: string; readonly forMs: number };
  /** It takes calls again, after so long; `cause` is the last one. */
  "pool:reopened": { readonly pool: string; readonly cause: string; readonly lastedMs: number };
  /**
   * Throttles, or an outage that is over, have cut the rate in use of a pool below 90 % of its quota. Pauses are part of it.
   */
  "ceiling:cut": {
    readonly pool: string;
    readonly dimension: string;
    /** Fraction of the rate in use now, and what that is per minute. */
    readonly ceiling: number;
    readonly perMinute: number;
  };
  /** It has grown back. `lowest`: the least fraction that was seen. */
  "ceiling:restored": {
    readonly pool: string;
    readonly dimension: string;
    readonly lowest: number;
    readonly lastedMs: number;
  };
  /** Redis does not answer this process at the gate: it lets no call of the scope go. */
  "gate:shut": { readonly scope: string };
  /** Redis answers there again, after so long. */
  "gate:opened": { readonly scope: string; readonly lastedMs: number };
  /** For half a minute this process has had no free slot to fetch a job of the lane with. */
  "slots:full": { readonly pool: string; readonly lane: string; readonly slots: number };
  /** It has had one, after so long. */
  "slots:free": { readonly pool: string; readonly lane: string; readonly lastedMs: number };
  /** A pool has more retries under way than its budget allows: further ones come as late as may be. */
  "retries:exhausted": { readonly pool: string };
  /** None has been over the budget for a while; `lastedMs` from the first to the last that was. */
  "retries:granted": { readonly pool: string; readonly lastedMs: number };
  /** New limits of a pool are in force. */
  "limits:changed": { readonly pool: string; readonly version: number };
  /**
   * Quotas in force that are not those of this worker's file: set by hand, `by` whom, or those of another worker's file, then
   * without `by`. Told at start and at a change.
   */
  "quota:overridden": {
    readonly pool: string;
    readonly by?: string;
    readonly quotas: readonly {
      readonly quota: string;
      /** `null`: not limited. */
      readonly inForce: number | null;
      readonly declared: number | null;
      /** More than twice or less than half of what the file says. */
      readonly far: boolean;
    }[];
  };
  /** Somebody moves a breaker or a quota by hand (`intent`), or has (`done`), or could not (`failed`). */
  "operator:acted": {
    readonly pool: string;
    /** The same in both events of one act. */
    readonly id: string;
    readonly phase: "intent" | "done" | "failed";
    /** Who, as he says, and from which account on which machine. */
    readonly by: string;
    readonly from: string;
    readonly action: string;
  };
  /**
   * Jobs wait in a lane that no worker serves, or no longer. None does while pools files differ, or after a lane or pool
   * was taken out of them; its deadlines are kept all the same.
   */
  "lane:unserved": {
    readonly pool: string;
    readonly lane: string;
    readonly unserved: boolean;
    /** That have not ended. */
    readonly jobs: number;
  };
  /** Something in the pools file works, but hardly as meant. Told at start; `path` as keys joined by dots. */
  "config:warning": { readonly path: string; readonly line?: number; readonly message: string };
  /** A part met an error that it survives by trying again. */
  "worker:error": { readonly part: string; readonly error: string };
  /** Errors that were told once have come again: told together, every so often. */
  "error:repeated": { readonly errors: readonly RepeatedError[] };
  /** They have not come for a while. */
  "error:over": { readonly errors: readonly RepeatedError[] };
  /** Redis is not as it must be; `ready`: a job that is accepted now is kept all the same. */
  "redis:trouble": { readonly code: string; readonly problem: string; readonly ready: boolean };
  /** That is over, after so long. */
  "redis:recovered": { readonly code: string; readonly lastedMs: number };
  /** Nothing of this key space was there: a new installation, unless Redis lost its data while no program ran. */
  "redis:new": { readonly keySpace: string };
  /** Redis has lost the data of this key space: what was accepted and had not ended is gone. */
  "redis:emptied": { readonly keySpace: string };
  /** Another life of Redis, or another server, answers: what was written last may be lost. `since`: when it was found. */
  "redis:restarted": { readonly keySpace: string; readonly since: number };
  /** Something the program needs is not there; told once for each reason, while it goes on looking for it. */
  "start:lacks": { readonly need: string; readonly why: string };
  /** It is there now. */
  "start:found": { readonly need: string; readonly afterMs: number };
  "worker:started": { readonly pools: readonly string[]; readonly slots: number };
  "worker:stopped": { readonly drained: boolean };
}

/** An error as it was first told, and how often it has come since it began. */
export interface RepeatedError {
  readonly part: string;
  readonly error: string;
  readonly times: number;
  /** From the first to the last time, milliseconds. */
  readonly lastedMs: number;
}

export type DeferReason =
  /** The process leaves. */
  | "shutdown"
  /** A job whose worker died under it more than once waits until others of its kind have ended here. */
  | "suspect"
  /** The pool that had granted its call takes none now. */
  | "pool-shut"
  /** The pool of its chain that had granted its call has no slot free in this process. */
  | "no-slot"
  /** An earlier run of the job is still under way in this process. */
  | "running-here"
  /** Another process that is alive has a call for it in flight. */
  | "running-elsewhere"
  /** This process has no credentials for the scope; another may. */
  | "no-identity"
  /** This process finds no way to the scope's Bedrock; another may. */
  | "no-way"
  /** This process alone is denied what the job asks for; another may make the call. */
  | "denied-here"
  /** It reserves more than is left of the day's tokens; smaller jobs may go. */
  | "day-rest"
  /** An equal request is being answered. */
  | "shared"
  /** Bedrock is not done with an async call. */
  | "polling"
  /** Something of it was written by a newer version of Sluice, for programs of that version. */
  | "newer-version";

/** Takes one event. Implementations must not throw; `emitter` guards against those that do. */
export type Emit = <Name extends keyof SluiceEvents>(name: Name, event: SluiceEvents[Name]) => void;

/** Receives every event. */
export type Listener = <Name extends keyof SluiceEvents>(name: Name, event: SluiceEvents[Name]) => void;

/** Fans events out. A listener that throws loses its own event only: telling must never break doing. */
export function emitter(listeners: readonly Listener[]): Emit {
  return (name, event) => {
    for (const listener of listeners) {
      try {
        listener(name, event);
      } catch {
        // Nobody is left to tell: the place errors are told to is the one that failed.
      }
    }
  };
}
