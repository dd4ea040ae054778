/** What the two halves of the drain share: their options, a job that passed every check, and what the gate granted it. */
import type { Emit, JobData, JobRequest, Notes, Payload, Random, Time } from "@sluice/job";
import type { Cache, Cancels, Chunks, Entry, Held, Ledger, Outcomes } from "./ports.ts";

export interface DrainOptions extends Time {
  /** The pool itself, then the pools that may answer instead. */
  readonly chain: readonly [Entry, ...Entry[]];
  readonly outcomes: Outcomes;
  readonly ledger: Ledger;
  readonly cancels: Cancels;
  readonly cache: Cache;
  readonly chunks: Chunks;
  readonly decodePayload: (payload: Payload) => Promise<unknown>;
  /** Hands a started async call over to the poller. Adding it again is harmless. */
  readonly startPolling: (data: JobData) => Promise<void>;
  /** What callers get instead of an answer that a content filter stopped. Default: what the model said. */
  readonly filteredMessage?: string | undefined;
  /** Fires when the process has no time left: calls in flight are aborted and handed back. */
  readonly abort: AbortSignal;
  readonly emit: Emit;
  readonly random: Random;
}

/** A job that passed every check. */
export interface Candidate {
  readonly job: Held;
  readonly data: JobData;
  readonly work: JobRequest;
  readonly notes: Notes;
}

/** What the gate has granted: a reservation in one pool of the chain, and the slot that its call needs there. */
export interface Grant {
  readonly entry: Entry;
  /** The entry's place in the chain; 0 is the job's own pool. */
  readonly index: number;
  readonly lane: string;
  readonly reservation: string;
  /** The call finds out whether the pool works again. */
  readonly probe: boolean;
  readonly slot: SlotElsewhere;
}

/** A call's slot in another pool of the chain. The one in the job's own pool is its intake's. */
export interface SlotElsewhere {
  /** Takes it for the start. False when the signal fires first. */
  take(signal: AbortSignal): Promise<boolean>;
  /** Giving it back twice does nothing. */
  release(): void;
}

/** A job that may start. */
export interface Turn {
  /** Milliseconds until then. */
  readonly waitMs: number;
  /** It did not have to wait for quota at all. */
  readonly atOnce: boolean;
  /** Fires when the job shall not start after all: call `start` at once, which disposes of it. */
  readonly off: AbortSignal;
  /** The last look before the call. Resolves to the call, or to `undefined` when the job has been disposed of. */
  start(): Promise<(() => Promise<void>) | undefined>;
}
