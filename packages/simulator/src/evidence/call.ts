/** What is known about one call once it is over. */
import type { ThrottleKind } from "../quota/throttle.ts";

/** How a call ended. */
export type CallOutcome =
  | { readonly outcome: "completed" | "filtered"; readonly stopReason: string }
  | { readonly outcome: "throttled"; readonly throttle: ThrottleKind }
  /** `error` names the exception, or the scripted fault that broke the connection. */
  | { readonly outcome: "error"; readonly error: string }
  /** The client went away first. */
  | { readonly outcome: "disconnected" };

/** What is known of every call, however it ended. */
interface CallFacts {
  readonly requestId: string;
  readonly operation: string;
  readonly region: string;
  readonly model: string;
  /** The SDK's own attempt number; more than 1 is a retry nobody's quota accounted for. */
  readonly attempt: number | null;
  readonly maxAttempts: number | null;
  /** Milliseconds since the epoch, by the simulator's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly admitted: boolean;
  readonly reservedTokens: number;
  readonly settledTokens: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The scripted fault this call met, if any. */
  readonly fault: string | null;
  readonly requestMetadata: Readonly<Record<string, string>> | null;
}

/** A call that is over. */
export type FinishedCall = CallFacts & CallOutcome;

/**
 * One finished call as `GET /_sim/calls` shows it. `seq` is its rank in the order of ending: reading on from the
 * last one seen misses nothing.
 */
export type Call = { readonly seq: number } & FinishedCall;
