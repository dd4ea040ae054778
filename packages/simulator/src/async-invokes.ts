/** Async invocations: accepted at once, done after a while. Their state is a function of time; nothing runs. */
import { randomUUID } from "node:crypto";

/** What StartAsyncInvoke is given. */
export interface AsyncInvokeRequest {
  readonly region: string;
  readonly model: string;
  readonly clientRequestToken: string;
  /** Everything that must be the same when the token comes again, as one text. */
  readonly fingerprint: string;
  readonly s3Uri: string;
  readonly kmsKeyId?: string | undefined;
  readonly bucketOwner?: string | undefined;
}

/** One accepted invocation. */
export interface AsyncInvoke extends AsyncInvokeRequest {
  readonly arn: string;
  readonly submittedAtMs: number;
  readonly endsAtMs: number;
  readonly fails: boolean;
}

/** Status names of the service. There is no cancelling. */
export type AsyncStatus = "InProgress" | "Completed" | "Failed";

/** The state of an invocation at a time. */
export function statusAt(invoke: AsyncInvoke, nowMs: number): AsyncStatus {
  if (nowMs < invoke.endsAtMs) return "InProgress";
  return invoke.fails ? "Failed" : "Completed";
}

/** Which invocations to list. */
export interface AsyncInvokeFilter {
  readonly status?: AsyncStatus | undefined;
  readonly submittedAfterMs?: number | undefined;
  readonly submittedBeforeMs?: number | undefined;
  readonly order: "Ascending" | "Descending";
}

/** Holds what was accepted, until the process ends. */
export interface AsyncInvokeStore {
  /**
   * Accepts an invocation. The same token and request return the first one again.
   * @returns "conflict" for the same token with another request.
   */
  start(
    request: AsyncInvokeRequest,
    nowMs: number,
    durationMs: number,
    fails: boolean,
  ): AsyncInvoke | "conflict";
  get(arn: string): AsyncInvoke | undefined;
  list(region: string, filter: AsyncInvokeFilter, nowMs: number): AsyncInvoke[];
}

const ACCOUNT = "111122223333";

/** An empty store. */
export function createAsyncInvokeStore(): AsyncInvokeStore {
  const byArn = new Map<string, AsyncInvoke>();
  const byToken = new Map<string, AsyncInvoke>();

  return {
    start: (request, nowMs, durationMs, fails) => {
      const token = `${request.region}/${request.clientRequestToken}`;
      const known = byToken.get(token);
      if (known !== undefined) return known.fingerprint === request.fingerprint ? known : "conflict";
      const id = randomUUID().replaceAll("-", "").slice(0, 12);
      const arn = `arn:aws:bedrock:${request.region}:${ACCOUNT}:async-invoke/${id}`;
      const invoke = { ...request, arn, submittedAtMs: nowMs, endsAtMs: nowMs + durationMs, fails };
      byArn.set(arn, invoke);
      byToken.set(token, invoke);
      return invoke;
    },
    get: (arn) => byArn.get(arn),
    list: (region, filter, nowMs) => {
      const found = [...byArn.values()].filter(
        (invoke) =>
          invoke.region === region &&
          (filter.status === undefined || statusAt(invoke, nowMs) === filter.status) &&
          invoke.submittedAtMs > (filter.submittedAfterMs ?? -Infinity) &&
          invoke.submittedAtMs < (filter.submittedBeforeMs ?? Infinity),
      );
      return filter.order === "Ascending" ? found : found.toReversed();
    },
  };
}
