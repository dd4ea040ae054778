/** One request to Bedrock: ended in time, ended by its owner, or classified. What all kinds of call have in common. */
import type { ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-bedrock-runtime";
import { FAILURES, type Clock } from "@sluice/job";
import { z } from "zod";
import type { AbortedCall, CallBounds, FailedCall } from "../bedrock-caller.ts";
import { classify, noIdentity, silent, timedOut, unreadable, type Verdict } from "../failures/classify.ts";
import type { Trace } from "../sdk/connections.ts";
import { NoIdentity } from "../sdk/identity.ts";
import type { Client, Command } from "../sdk/sdk-client.ts";
import { timeLimit, type TimeLimit } from "../sdk/time-limit.ts";

/** How a call ended. `filtered`: a content filter spoke by exception. */
export type Ended<T> =
  | { readonly type: "done"; readonly value: T }
  | { readonly type: "filtered" }
  | FailedCall
  | AbortedCall;

type Failure = Verdict & { readonly type: "failed" };

/** What is known of a response before its body is read. The SDK's errors do not always have it, its outputs never. */
export interface ResponseHead {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A call while it is under way. */
export interface InFlight {
  /** Aborts when the call has ended otherwise than by its own success. */
  readonly stop: AbortSignal;
  /** `undefined` until the response begins. */
  readonly head: ResponseHead | undefined;
  /** Sends a command. To be used once: `head` is that of the last one. */
  readonly send: <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: Command<Input, Output>,
  ) => Promise<Output>;
  /** A part of a streamed answer has come: from now on silence is counted anew. */
  readonly heard: () => void;
}

const headSchema = z.object({ statusCode: z.int(), headers: z.record(z.string(), z.string()) });

/**
 * Does `work` within the bounds of its call. Never rejects.
 * @param work resolves to `undefined` when the response makes no sense.
 */
export async function makeCall<T>(
  client: Client,
  clock: Clock,
  { signal, timeoutMs, silenceMs, onSent }: CallBounds,
  work: (call: InFlight) => Promise<T | undefined>,
): Promise<Ended<T>> {
  if (signal.aborted) return { type: "aborted" };
  const startedAt = performance.now();
  const stop = new AbortController();
  const end = (): void => stop.abort();
  const limits: TimeLimit[] = [];
  let over: Failure | undefined;
  const limit = (ms: number, verdict: () => Failure): TimeLimit => {
    const opened = timeLimit(ms, client.loop, () => {
      over = verdict();
      end();
    });
    limits.push(opened);
    return opened;
  };
  let silence: TimeLimit | undefined;
  const heard = (): void => {
    if (silenceMs !== undefined && !stop.signal.aborted) silence?.restart(silenceMs);
  };
  const trace = openTrace(onSent);
  const inFlight = openCall(client, stop.signal, trace, heard);
  const fail = (verdict: Failure): FailedCall => {
    const ended = failed(verdict, inFlight);
    return client.loop.stoodAfter(startedAt) ? { ...ended, stood: true } : ended;
  };
  const endOf = (error: unknown): Ended<T> => {
    // Ours first: an aborted call looks like an abort before the headers and like a reset after them.
    if (signal.aborted) return { type: "aborted" };
    if (over !== undefined) return fail(over);
    if (error instanceof NoIdentity) return fail(noIdentity(error.cause, clock()));
    const verdict = classify(error, clock(), trace);
    return verdict.type === "filtered" ? verdict : fail(verdict);
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    // Raced, because the SDK hears no abort while it waits for credentials.
    await Promise.race([client.identify(), rejectOnAbort(stop.signal)]);
    limit(timeoutMs, () => timedOut(timeoutMs, trace));
    if (silenceMs !== undefined) silence = limit(silenceMs, () => silent(silenceMs, trace));
    const value = await Promise.race([work(inFlight), rejectOnAbort(stop.signal)]);
    return value === undefined ? fail(unreadable()) : { type: "done", value };
  } catch (error) {
    const ended = endOf(error);
    // Whatever is still coming would hold its connection, with nobody to read it.
    end();
    return ended;
  } finally {
    for (const each of limits) each.clear();
    signal.removeEventListener("abort", end);
  }
}

/** Gets new credentials. Never rejects: `undefined` when they have come. */
export async function renewIdentity(client: Client, clock: Clock): Promise<FailedCall | undefined> {
  client.renewIdentity();
  try {
    await client.identify();
    return undefined;
  } catch (error) {
    const cause = error instanceof NoIdentity ? error.cause : error;
    return failed(noIdentity(cause, clock()), { head: undefined });
  }
}

/** A verdict as the end of a call. */
export function failed({ failure, rule }: Failure, { head }: Pick<InFlight, "head">): FailedCall {
  const requestId = failure.requestId ?? head?.headers["x-amzn-requestid"];
  return {
    type: "failed",
    failure: requestId === undefined ? failure : { ...failure, requestId },
    rule,
    charge: FAILURES[rule].charge,
  };
}

function openTrace(onSent: (() => void) | undefined): Trace {
  let sent = false;
  return {
    get sent() {
      return sent;
    },
    set sent(now) {
      if (now && !sent) onSent?.();
      sent = now;
    },
  };
}

function openCall(client: Client, stop: AbortSignal, trace: Trace, heard: () => void): InFlight {
  let head: ResponseHead | undefined;
  return {
    stop,
    heard,
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
      return client.send(command, { abortSignal: stop, trace });
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
