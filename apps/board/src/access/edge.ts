/**
 * What every request meets before anything of it is read, and every error at the end: whom it asks for, whether its user
 * may write at all, and an answer in JSON that shows nothing of the error but its words.
 */
import { STATUS_CODES } from "node:http";
import { misdirected, type HostedRequest } from "@sluice/process";
import type { ErrorRequestHandler, RequestHandler } from "express";
import { roleForWrite } from "../policy.ts";
import { isDeadLetterError } from "@sluice/dead-letter";
import { Refused } from "../refusal.ts";
import { currentUser, demand } from "./user.ts";

/** Nothing that the board shows belongs in a cache: neither prompts nor names of jobs. */
export const noStore: RequestHandler = (_request, response, next) => {
  response.set("cache-control", "no-store");
  next();
};

/** Refuses a request under a name that is none of ours. Where people log in, no other site has what they log in with. */
export function answersTo(isOurs: (request: HostedRequest) => boolean): RequestHandler {
  return (request, _response, next) => {
    if (!isOurs(request)) throw new Refused(421, misdirected("SLUICE_ALLOWED_HOSTS"));
    next();
  };
}

/** Refuses a write that its user's role does not allow, before its body is read and parsed. */
export const writersOnly: RequestHandler = (request, _response, next) => {
  if (request.method !== "GET" && request.method !== "HEAD")
    demand(currentUser(), roleForWrite(request.path));
  next();
};

/** Express's own answer is a page. */
export const notFound: RequestHandler = () => {
  throw new Refused(404, "There is nothing here");
};

/** What Express and its parsers throw about a request. */
const OF_BODY: Readonly<Record<string, string>> = {
  "entity.too.large": "The request is too large",
};

/** The last handler. `onError` hears of errors that are ours. */
export function failed(onError: (error: unknown) => void): ErrorRequestHandler {
  // oxlint-disable-next-line max-params -- Express tells an error handler by its four parameters
  return (error: unknown, _request, response, _next) => {
    if (response.headersSent) {
      onError(error);
      response.destroy();
      return;
    }
    const { statusCode, message } = asRefused(error);
    if (statusCode >= 500) onError(error);
    response.status(statusCode).json({ error: STATUS_CODES[statusCode], message });
  };
}

function asRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (isDeadLetterError(error) && error.code === "newer") return new Refused(503, error.message);
  if (error instanceof URIError) return new Refused(400, "The path cannot be decoded");
  const isOfClient = error instanceof Error && "status" in error && typeof error.status === "number";
  if (isOfClient && Number(error.status) >= 400 && Number(error.status) < 500) {
    const type = "type" in error ? String(error.type) : "";
    return new Refused(Number(error.status), OF_BODY[type] ?? "The request cannot be read");
  }
  return new Refused(500, "The board failed on this request. Its log says of what");
}
