/**
 * What the drain needs from the rest of the system, in as few words as it uses. Adapters fit by shape; the app that
 * wires them gets the type error.
 */
import type { Answer, ConverseRequest, Failure, Outcome, Usage } from "@sluice/job";

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
  /** How often a systemic failure has put the job off before. */
  systemicDeferrals(): Promise<number>;
  complete(reference: Readonly<Record<string, string | number>>): Promise<void>;
  /** `systemicDeferrals`, when given, replaces the count of those. */
  defer(deferral: {
    delayMs: number;
    attempt: boolean;
    reason?: string;
    systemicDeferrals?: number;
  }): Promise<void>;
  fail(failure: Failure): Promise<void>;
}

/** Amounts of quota by dimension. */
export type Cost = Readonly<
  Partial<Record<"requests" | "tokens" | "input-tokens" | "output-tokens", number>>
>;

export type Admission =
  /** The quota is reserved; the call may start in `waitMs`. */
  | { readonly type: "granted"; readonly waitMs: number }
  /** Nothing is reserved; ask again. */
  | { readonly type: "wait"; readonly afterMs: number }
  /** The pool takes no calls at all for now. */
  | { readonly type: "open"; readonly afterMs: number };

export interface Settlement {
  readonly pool: string;
  readonly id: string;
  readonly outcome: "ok" | "failed" | "throttled" | "neutral";
  /** A dimension that is left out counts as reserved. */
  readonly actual: Cost;
  readonly throttledDimension?: "requests" | "tokens" | "tokens-per-day";
}

/** The limiter: may this call go now? */
export interface Gate {
  admit(request: { pool: string; lane: string; id: string; cost: Cost; ttlMs: number }): Promise<Admission>;
  settle(settlement: Settlement): Promise<unknown>;
}

/** Where ends of jobs are kept. */
export interface Outcomes {
  get(id: string): Promise<Outcome | undefined>;
  /** Keeps the first end of a job only. */
  put(outcome: Outcome): Promise<boolean>;
}

export type CallResult =
  | { readonly type: "answered"; readonly answer: Answer }
  | { readonly type: "filtered"; readonly answer: Answer }
  | {
      readonly type: "failed";
      readonly failure: Failure;
      /** What the quota is charged: nothing was sent; a request without tokens; or what was reserved. */
      readonly billed: "nothing" | "request" | "estimate";
      /** Whether it says that the pool is failing, and not only this call. */
      readonly breaker: boolean;
    }
  /** Our own signal ended the call. */
  | { readonly type: "aborted" };

/** One model, called once. Never rejects for anything that can happen to a call. */
export interface Model {
  call(request: ConverseRequest, call: { jobId: string; signal: AbortSignal }): Promise<CallResult>;
  /** What a call reserves when it starts. */
  reserve(request: ConverseRequest): Cost;
  /** What it turned out to cost. */
  settled(usage: Usage): Cost;
}
