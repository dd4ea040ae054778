/**
 * What the drain needs from the rest of the system, in as few words as it uses. Adapters fit by shape; the app that
 * wires them gets the type error.
 */
import type {
  Answer,
  Failure,
  FailureCharge,
  FailureRule,
  Invocation,
  JobData,
  JobRequest,
  Notes,
  Outcome,
  Usage,
} from "@sluice/job";

export interface Deferral {
  readonly delayMs: number;
  /** Whether this try counts against the job's attempts. */
  readonly attempt: boolean;
  readonly reason?: string;
  readonly notes?: Notes;
}

/** A job in hand. Exactly one of `complete`, `defer` and `fail` ends that. */
export interface Held {
  readonly id: string;
  readonly data: unknown;
  /** Tries that counted against the job, before this one. */
  readonly attemptsMade: number;
  /** Times the job was fetched, this one included. */
  readonly attemptsStarted: number;
  /** Times its worker vanished under it. */
  readonly stalls: number;
  readonly deferredFailure: string | undefined;
  notes(): Promise<Notes>;
  /** Replaces the notes now, and not only when the job is handed back. */
  keepNotes(notes: Notes): Promise<void>;
  /** The `async` call that an earlier try has started; `undefined` when there is none. */
  invocation(): Promise<Invocation | undefined>;
  /** Keeps the started call for whoever has the job next. */
  keepInvocation(invocation: Invocation): Promise<void>;
  complete(reference: Readonly<Record<string, string | number>>): Promise<void>;
  defer(deferral: Deferral): Promise<void>;
  fail(failure: Failure): Promise<void>;
}

/** Amounts of quota by dimension. */
export type Cost = Readonly<
  Partial<Record<"requests" | "tokens" | "input-tokens" | "output-tokens" | "tokens-per-day", number>>
>;

export type Admission =
  /** The quota is reserved; the call may start in `waitMs`. `probe`: it finds out whether the pool works again. */
  | { readonly type: "granted"; readonly waitMs: number; readonly probe?: true }
  /** Nothing is reserved; ask again. */
  | { readonly type: "wait"; readonly afterMs: number }
  /** The pool takes no calls at all for now. `elsewhere`: of this process alone, so that another may make the call. */
  | {
      readonly type: "open";
      readonly afterMs: number;
      readonly cause?: string;
      readonly elsewhere?: boolean;
    };

export interface Settlement {
  readonly pool: string;
  readonly id: string;
  readonly outcome: "ok" | "failed" | "timeout" | "throttled" | "systemic" | "neutral";
  /** A dimension that is left out counts as reserved. */
  readonly actual: Cost;
  readonly throttledDimension?: "requests" | "tokens" | "tokens-per-day";
  /** Of a failure: how much it counts, 0.5 when it may be the model's own. Default 1. */
  readonly weight?: number;
  /** What access is about: an answer proves that it may be called, a systemic failure that it may not. */
  readonly operation?: string;
  /** The server's own hint: nobody calls the pool before it is over, milliseconds. */
  readonly holdMs?: number;
  /** The job wants another try: ask the pool's retry budget. */
  readonly retry?: boolean;
  /** The class of a failure to connect: it may be this process's own. Not for the limiter. */
  readonly unreached?: string;
}

export interface AdmitRequest {
  readonly pool: string;
  readonly lane: string;
  readonly job: string;
  /** Names the reservation. */
  readonly id: string;
  /** What access is about, as in the settlement. */
  readonly operation?: string;
  readonly cost: Cost;
  readonly ttlMs: number;
}

/** The limiter: may this call go now? */
export interface Gate {
  admit(request: AdmitRequest): Promise<Admission>;
  settle(settlement: Settlement): Promise<Settled>;
}

/** What the limiter knows when it has heard of a call. Nothing of a call it does not know any more. */
export interface Settled {
  /** `exhausted`: the pool has too many retries already. */
  readonly retry?: "granted" | "exhausted";
  /** How long ago the pool last answered a call of another job, milliseconds; absent: not lately. */
  readonly answeredAgoMs?: number;
  /** The same of calls of this operation. */
  readonly operationAnsweredAgoMs?: number;
  /** The call decided whether the pool opens again. */
  readonly probe?: boolean;
  /** For how long the pool takes no calls now, milliseconds. 0: it takes calls. */
  readonly shutMs?: number;
  /** With a throttle: tokens of the largest call that was answered lately. */
  readonly largestPassed?: number;
}

/** Where ends of jobs are kept. */
export interface Outcomes {
  get(id: string): Promise<Outcome | undefined>;
  /** Keeps the first end of a job only, and closes its entry in the ledger in the same step. */
  put(outcome: Outcome): Promise<boolean>;
}

export type LedgerAnswer =
  /**
   * The job's `call`-th; `lost` earlier ones were in flight when their process died. `left`: what those hold of the quota
   * until it is settled. `unnamed`: the last one was lost just now, and does not say what it holds.
   */
  | {
      readonly type: "go";
      readonly call: number;
      readonly lost: number;
      readonly left: readonly HeldQuota[];
      readonly unnamed: boolean;
    }
  /** A process that is alive has a call in flight. */
  | { readonly type: "busy"; readonly retryAfterMs: number }
  /** The job has had all the calls it may have. */
  | { readonly type: "cap"; readonly calls: number; readonly left: readonly HeldQuota[] }
  /** The job has ended. */
  | { readonly type: "ended" };

/** What a call holds of the quota. */
export interface HeldQuota {
  readonly reservation: string;
  /** What to settle it with when nobody hears how the call ended. */
  readonly ifLost: Cost;
}

/** Which calls a job has started, and who has one in flight: what keeps two processes from paying for one answer. */
export interface Ledger {
  /** `leaseMs`: how long the call counts as in flight at most, also if its process lives on. */
  begin(call: { id: string; maxCalls: number; leaseMs: number; held?: HeldQuota }): Promise<LedgerAnswer>;
  /** The call is over and counts; the next may begin. */
  end(id: string): Promise<unknown>;
  /** The call was never sent, was refused, or failed while the pool answered nobody: it does not count. */
  abandon(id: string): Promise<unknown>;
  /** What calls of the job hold that nobody has settled, also those of processes that live. */
  left(id: string): Promise<readonly HeldQuota[]>;
  /** These reservations are settled. */
  forget(id: string, reservations: readonly string[]): Promise<unknown>;
}

export type CallResult =
  | {
      /** `filtered`: a content filter stopped it. */
      readonly type: "answered" | "filtered";
      readonly answer: Answer;
      /** Bedrock did not report the usage: there is nothing to learn from it. */
      readonly usageEstimated?: true;
    }
  /** Bedrock works on an async call. */
  | { readonly type: "started"; readonly invocationArn: string }
  | {
      readonly type: "failed";
      readonly failure: Failure;
      /** The row of the failure table. */
      readonly rule: FailureRule;
      /** What the quota is charged: the row's charge, or `estimate` if the call had been admitted by then. */
      readonly charge: FailureCharge;
      /** This process stood still while it waited for the answer: nothing follows for the pool. */
      readonly stood?: true;
      /** About how many tokens of its answer had arrived. */
      readonly observedOutputTokens?: number;
    }
  /** Our own signal ended the call. */
  | { readonly type: "aborted"; readonly observedOutputTokens?: number };

export interface Call {
  readonly jobId: string;
  readonly lane: string;
  readonly signal: AbortSignal;
  /** Hears a stream's text as it is written. */
  readonly onText: (text: string) => void;
}

/** One model, called once. Never rejects for anything that can happen to a call. */
export interface Model {
  call(work: JobRequest, call: Call): Promise<CallResult>;
  /** How long a call may take at most, milliseconds: what is held for it is held that long. */
  budgetMs(work: JobRequest): number;
  /** What a call reserves when it starts. */
  reserve(work: JobRequest): Cost;
  /** What it turned out to cost. */
  settled(usage: Usage): Cost;
  /** What a call cost that was cut, and has no usage. */
  unfinished(work: JobRequest, observedOutputTokens: number | undefined): Cost;
  /** Learns how much of what such requests reserve they use. */
  learn(data: JobData, work: JobRequest, usage: Usage): void;
}

/** A pool of a chain: the job's own, or one that may answer instead. */
export interface Entry {
  readonly pool: string;
  /** The lane in which a job of another pool's lane is admitted here. */
  laneFor(lane: string): string;
  readonly gate: Gate;
  readonly model: Model;
  /** Takes a slot of the pool if one is free. The job's own pool has given one before the job was fetched. */
  tryAcquire(lane: string): (() => void) | undefined;
  /** Takes one as soon as one is free; `undefined` when the signal fires first. */
  acquire(lane: string, signal: AbortSignal): Promise<(() => void) | undefined>;
}

/** Where a streamed answer is read while it is written. */
export interface Chunks {
  /** Begins the `call`-th try; text of an earlier one is void. */
  open(stream: { id: string; call: number; maxTokens: number }): ChunkWriter;
}

export interface ChunkWriter {
  write(text: string): void;
  /** Takes back what was written, and has this text instead. */
  replace(text: string): void;
  /** The last event. Written after the outcome is stored. */
  end(how: "completed" | "failed" | "incomplete"): Promise<void>;
  /** This call's text ends here; a later call goes on. */
  leave(): Promise<void>;
}

/** What callers do not want any more. */
export interface Cancels {
  isRequested(id: string): Promise<boolean>;
}

export type CacheLead =
  /** Nobody answers this request yet: make the call, and `put`. */
  | { readonly type: "leader" }
  | { readonly type: "hit"; readonly answer: Answer }
  /** Another job is being answered the same question. */
  | { readonly type: "follow"; readonly retryAfterMs: number };

/** Answers that serve equal requests of a tenant. */
export interface Cache {
  /** @param leadMs how long the leader may take to answer, milliseconds. */
  lead(question: CacheQuestion, leadMs: number): Promise<CacheLead>;
  put(question: CacheQuestion, answer: Answer): Promise<void>;
  /** The leader found no answer: the next may lead. */
  release(question: CacheQuestion): Promise<void>;
}

export interface CacheQuestion {
  readonly id: string;
  readonly tenant: string;
  readonly pool: string;
  readonly work: JobRequest;
  readonly ttlMs: number;
}
