/** Errors as the API answers them: a stable code and a sentence that says what is wrong and what to do. */
import type { Refusal, RefusalCode } from "@sluice/drain";
import type { ErrorRequestHandler, Response } from "express";
import { z } from "zod";

/** The status of every reason a submission can be refused for. */
const STATUS: Readonly<Record<RefusalCode, number>> = {
  "unknown-pool": 404,
  "unknown-lane": 404,
  "prompt-too-large": 413,
  "max-tokens-too-large": 422,
  "cost-exceeds-quota": 422,
  "idempotency-conflict": 422,
  "too-far-ahead": 422,
  "lane-full": 429,
  "redis-full": 503,
};

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
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const caller = callerErrorSchema.safeParse(error);
    if (error instanceof URIError) {
      sendProblem(response, 400, "malformed-path", "The path cannot be decoded. Write a literal % as %25");
    } else if (caller.data?.type === "entity.too.large") {
      sendProblem(response, 413, "prompt-too-large", "The body is too large. Shorten or split the prompt");
    } else if (caller.data?.type === "entity.parse.failed") {
      sendProblem(response, 400, "malformed-json", "The body is not JSON. Send one JSON object");
    } else if (caller.success) {
      sendProblem(response, caller.data.status, "malformed-body", "The body cannot be read. Send UTF-8 JSON");
    } else {
      onError(error);
      response.set("retry-after", "5");
      sendProblem(response, 503, "unavailable", "Sluice cannot reach its queue now. Send the request again");
    }
  };
}
