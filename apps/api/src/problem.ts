/** Errors as the API answers them: a stable code and a sentence that says what is wrong and what to do. */
import { isDeadLetterError } from "@sluice/dead-letter";
import type { Refusal, RefusalCode } from "@sluice/drain";
import { NewerVersionError } from "@sluice/job";
import type { ErrorRequestHandler, Response } from "express";
import { z } from "zod";

/** The status of every reason a submission can be refused for. */
const STATUS: Readonly<Record<RefusalCode, number>> = {
  "unknown-pool": 404,
  "unknown-lane": 404,
  "unsafe-content": 400,
  "prompt-too-large": 413,
  "max-tokens-too-large": 422,
  "cost-exceeds-quota": 422,
  "output-not-allowed": 422,
  "idempotency-conflict": 422,
  "too-far-ahead": 422,
  "lane-full": 429,
  "redis-full": 503,
  "redis-unsafe": 503,
};

/** Thrown by what reads a request, and answered as it says. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly code: string;
  readonly retryAfterS: number | undefined;

  constructor(status: number, code: string, message: string, retryAfterS?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

export function sendProblem(response: Response, status: number, code: string, message: string): void {
  response.status(status).json({ error: { code, message } });
}

export function sendRefusal(response: Response, refusal: Refusal): void {
  if (refusal.retryAfterMs !== undefined) {
    response.set("retry-after", String(Math.ceil(refusal.retryAfterMs / 1_000)));
  }
  sendProblem(response, STATUS[refusal.code], refusal.code, refusal.message);
}

/** What Express and its body parser throw about a request. A body that does not unpack comes without a `type`. */
const callerErrorSchema = z.object({ status: z.int().min(400).max(499), type: z.string().optional() });

/** The last handler. `onError` hears of errors that are ours; the caller is told no more than that there was one. */
export function problemHandler(onError: (error: unknown) => void): ErrorRequestHandler {
  // oxlint-disable-next-line max-params -- Express tells an error handler by its four parameters
  return (error: unknown, _request, response, _next) => {
    if (response.headersSent) {
      // Express's own handler would print the error as it is.
      onError(error);
      response.destroy();
      return;
    }
    const caller = callerErrorSchema.safeParse(error);
    if (error instanceof Problem) {
      if (error.retryAfterS !== undefined) response.set("retry-after", String(error.retryAfterS));
      sendProblem(response, error.status, error.code, error.message);
    } else if (error instanceof URIError) {
      sendProblem(response, 400, "malformed-path", "The path cannot be decoded. Write a literal % as %25");
    } else if (caller.data?.type === "entity.too.large") {
      sendProblem(response, 413, "prompt-too-large", "The body is too large. Shorten or split the prompt");
    } else if (caller.success) {
      sendProblem(response, caller.data.status, "malformed-body", "The body cannot be read. Send UTF-8 JSON");
    } else if (isNewer(error)) {
      onError(error);
      response.set("retry-after", "30");
      sendProblem(response, 503, "newer-version", `${error.message}. Send the request again`);
    } else {
      onError(error);
      response.set("retry-after", "5");
      sendProblem(response, 503, "unavailable", `${whatIsAway(error)}. Send the request again`);
    }
  };
}

/** What a newer version of Sluice wrote: an API of that version can answer, and will once the deploy is through. */
function isNewer(error: unknown): error is Error {
  return error instanceof NewerVersionError || (isDeadLetterError(error) && error.code === "newer");
}

/** In words for the caller: which of the two services that Sluice stands on did not answer, where the error says so. */
function whatIsAway(error: unknown): string {
  if (isDeadLetterError(error)) {
    return error.code === "misconfigured"
      ? "Sluice cannot use its dead letter table in DynamoDB"
      : "Sluice cannot reach DynamoDB, which has its dead letters, now";
  }
  return isOfRedis(error)
    ? "Sluice cannot reach Redis, which is its queue, now"
    : "Sluice could not do this now";
}

/** As ioredis names its errors, and as Node names those of its sockets. */
const REDIS_ERRORS = new Set([
  "MaxRetriesPerRequestError",
  "ReplyError",
  "AbortError",
  "ClusterAllFailedError",
]);
const REDIS_MESSAGES =
  /^(Connection is closed|Command timed out|Stream isn't writeable|Socket timeout|connect E|read E|write E)/;

function isOfRedis(error: unknown): boolean {
  return error instanceof Error && (REDIS_ERRORS.has(error.name) || REDIS_MESSAGES.test(error.message));
}
