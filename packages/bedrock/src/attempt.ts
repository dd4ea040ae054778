/** One request to Bedrock: ended in time, ended by its owner, or classified. What all kinds of call have in common. */
import type {
  $Command,
  BedrockRuntimeClient,
  BedrockRuntimeClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from "@aws-sdk/client-bedrock-runtime";
import { FAILURES, type Clock } from "@sluice/job";
import { z } from "zod";
import type { AbortedCall, CallBounds, FailedCall } from "./caller.ts";
import { classify, timedOut, unreadable, type Verdict } from "./classify.ts";

/** How an attempt ended. `filtered`: a content filter spoke by exception. */
export type Ended<T> =
  | { readonly type: "done"; readonly value: T }
  | { readonly type: "filtered" }
  | FailedCall
  | AbortedCall;

/** What is known of a response before its body is read. The SDK's errors do not always have it, its outputs never. */
export interface ResponseHead {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The wire of one attempt. */
export interface Wire {
  /** Aborts when the attempt has ended otherwise than by its own success. */
  readonly stop: AbortSignal;
  /** `undefined` until the response begins. */
  readonly head: ResponseHead | undefined;
  /** Sends a command. To be used once: `head` is that of the last one. */
  readonly send: <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: Command<Input, Output>,
  ) => Promise<Output>;
}

type Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  BedrockRuntimeClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>;

const headSchema = z.object({ statusCode: z.int(), headers: z.record(z.string(), z.string()) });

/**
 * Does `work` within the bounds of its call. Never rejects.
 * @param work resolves to `undefined` when the response makes no sense.
 */
export async function attempt<T>(
  client: BedrockRuntimeClient,
  clock: Clock,
  { signal, timeoutMs }: CallBounds,
  work: (wire: Wire) => Promise<T | undefined>,
): Promise<Ended<T>> {
  if (signal.aborted) return { type: "aborted" };
  const stop = new AbortController();
  const end = (): void => stop.abort();
  const endOf = (error: unknown): Ended<T> => {
    // Ours first: an aborted call looks like an abort before the headers and like a reset after them.
    if (signal.aborted) return { type: "aborted" };
    if (stop.signal.aborted) return failed(timedOut(timeoutMs), wire);
    const verdict = classify(error, clock());
    return verdict.type === "filtered" ? verdict : failed(verdict, wire);
  };
  const wire = openWire(client, stop.signal);
  signal.addEventListener("abort", end, { once: true });
  const timer = setTimeout(end, timeoutMs);
  try {
    // Raced, because the SDK hears no abort while it waits for credentials.
    const value = await Promise.race([work(wire), rejectOnAbort(stop.signal)]);
    return value === undefined ? failed(unreadable(), wire) : { type: "done", value };
  } catch (error) {
    const ended = endOf(error);
    // Whatever is still coming would hold its connection, with nobody to read it.
    end();
    return ended;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** A verdict as the end of a call. */
export function failed(
  { failure, rule }: Verdict & { type: "failed" },
  { head }: Pick<Wire, "head">,
): FailedCall {
  const requestId = failure.requestId ?? head?.headers["x-amzn-requestid"];
  return {
    type: "failed",
    failure: requestId === undefined ? failure : { ...failure, requestId },
    rule,
    charge: FAILURES[rule].charge,
  };
}

function openWire(client: BedrockRuntimeClient, stop: AbortSignal): Wire {
  let head: ResponseHead | undefined;
  return {
    stop,
    get head() {
      return head;
    },
    send: async (command) => {
      command.middlewareStack.add(
        (next) => async (request) => {
          const result = await next(request);
          head = headSchema.safeParse(result.response).data;
          return result;
        },
        // Low: next to the wire, before the SDK reads the response and may throw.
        { step: "deserialize", priority: "low", name: "noteResponseHead" },
      );
      return client.send(command, { abortSignal: stop });
    },
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("Aborted")), { once: true });
  });
}

/** Milliseconds since this was called, never less than 0. */
export function stopwatch(clock: Clock): () => number {
  const startedAt = clock();
  return () => Math.max(0, clock() - startedAt);
}
