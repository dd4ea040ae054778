/** One call to Bedrock, made once and never retried here: every request is one the quota has admitted. */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  type BedrockRuntimeClientConfig,
} from "@aws-sdk/client-bedrock-runtime";
import type { Answer, Clock, ConverseRequest, Failure } from "@sluice/job";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { classify, timedOut, unreadable, type Verdict } from "./classify.ts";
import { isFiltered, toAnswer, toCommandInput } from "./converse.ts";
import type { Billed } from "./failures.ts";

export interface BedrockOptions {
  readonly region: string;
  /** Default: the public endpoint of the Region. */
  readonly endpoint?: string;
  /** Default: the SDK's own chain of environment, profile, container and instance credentials. */
  readonly credentials?: NonNullable<BedrockRuntimeClientConfig["credentials"]>;
  /** Connections kept open at most. At least the number of concurrent calls, or calls wait unseen for one. */
  readonly maxConnections: number;
  readonly clock: Clock;
}

export interface ConverseCall {
  /** Id or ARN of a model or inference profile. */
  readonly model: string;
  readonly request: ConverseRequest;
  readonly jobId: string;
  /** Ends the call from outside. */
  readonly signal: AbortSignal;
  /** For the whole call, from connecting to the last byte. Milliseconds. */
  readonly timeoutMs: number;
}

/** How a call ended. */
export type CallResult =
  | { readonly type: "answered"; readonly answer: Answer }
  /** A content filter stopped it. `text` is what came before, often nothing. */
  | { readonly type: "filtered"; readonly answer: Answer }
  | {
      readonly type: "failed";
      readonly failure: Failure;
      /** What the quota is to be charged. */
      readonly billed: Billed;
      /** Whether it counts for the breaker. */
      readonly breaker: boolean;
    }
  /** `signal` ended the call. It may have been billed. */
  | { readonly type: "aborted" };

export interface BedrockCaller {
  /** Makes one call. Never rejects for anything that can happen to it. */
  converse(call: ConverseCall): Promise<CallResult>;
  /** Closes idle connections; calls under way end as failures. */
  close(): void;
}

const CONNECTION_TIMEOUT_MS = 3_000;

/**
 * Longer than any call may take: a silent connection is ended by the call's own time-out. Only a call that lost
 * its timer would ever meet this one.
 */
const SOCKET_TIMEOUT_MS = 65 * 60_000;

/** Opens a client for one account in one Region. It connects with the first call; the owner calls `close`. */
export function createBedrock(options: BedrockOptions): BedrockCaller {
  const { clock } = options;
  const client = new BedrockRuntimeClient(clientConfig(options));
  return {
    async converse({ model, request, jobId, signal, timeoutMs }) {
      if (signal.aborted) return { type: "aborted" };
      const startedAt = clock();
      const stop = new AbortController();
      const forward = (): void => stop.abort();
      signal.addEventListener("abort", forward, { once: true });
      const timer = setTimeout(forward, timeoutMs);
      try {
        const command = new ConverseCommand(toCommandInput(model, request, jobId));
        const sent = client.send(command, { abortSignal: stop.signal });
        // Raced, because the SDK hears no abort while it waits for credentials.
        const output = await Promise.race([sent, rejectOnAbort(stop.signal)]);
        const answer = toAnswer(model, output, Math.max(0, clock() - startedAt));
        if (answer === undefined) return failed(unreadable(output.$metadata.requestId));
        return { type: isFiltered(answer.stopReason) ? "filtered" : "answered", answer };
      } catch (error) {
        // Ours first: an aborted call looks like an abort before the headers and like a reset after them.
        if (signal.aborted) return { type: "aborted" };
        if (stop.signal.aborted) return failed(timedOut(timeoutMs));
        const verdict = classify(error, clock());
        if (verdict.type === "failed") return failed(verdict);
        return { type: "filtered", answer: refusal(model, Math.max(0, clock() - startedAt)) };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", forward);
      }
    },
    close: () => client.destroy(),
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("Aborted")), { once: true });
  });
}

function clientConfig({
  region,
  endpoint,
  credentials,
  maxConnections,
}: BedrockOptions): BedrockRuntimeClientConfig {
  const agent = { keepAlive: true, maxSockets: maxConnections };
  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // A bearer token in the environment would win over credentials that were given.
    ...(credentials === undefined ? {} : { credentials, authSchemePreference: ["sigv4"] }),
    maxAttempts: 1,
    // Named, so that the environment cannot choose the adaptive mode and its rate limiter of its own.
    retryMode: "standard",
    // HTTP/1.1 with kept connections. The SDK's default, HTTP/2, opens one per call and hides broken streams.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: SOCKET_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: SOCKET_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    }),
  };
}

function failed({ failure, billed, breaker }: Verdict & { type: "failed" }): CallResult {
  return { type: "failed", failure, billed, breaker };
}

/** The answer of a filter that spoke by exception: the model said nothing, and Bedrock reports no usage. */
function refusal(model: string, latencyMs: number): Answer {
  return {
    text: "",
    stopReason: "content_filtered",
    model,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
    latencyMs,
  };
}
