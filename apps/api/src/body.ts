/**
 * The body of a request as JSON, exactly as it was sent or not at all. Parsers that repair what they read (bytes that are
 * no UTF-8, numbers that a double cannot hold, keys that come twice) would queue another prompt than the caller's.
 */
import { parseExact } from "@sluice/job";
import express, { type RequestHandler } from "express";
import { Problem } from "./problem.ts";

/** Room for a request of the largest size with its escapes; the request itself is measured after parsing. */
const BODY_LIMIT = "4mb";

const readBytes = express.raw({ type: "application/json", limit: BODY_LIMIT });

/**
 * Reads a JSON object or list into `request.body`. Everything else ends with a `Problem`; what is in the body beyond its
 * form is for a schema to judge.
 */
export const jsonBody: readonly RequestHandler[] = [
  (request, _response, next) => {
    if (request.is("application/json") === false || request.get("content-type") === undefined) {
      throw new Problem(415, "unsupported-media-type", "Send JSON with content-type: application/json");
    }
    const [, charset = "utf-8"] = /charset\s*=\s*"?([^\s;"]+)/i.exec(request.get("content-type") ?? "") ?? [];
    if (!/^(utf-?8|us-ascii)$/i.test(charset)) {
      throw new Problem(415, "malformed-body", "The body's character set is not known here. Send UTF-8 JSON");
    }
    next();
  },
  readBytes,
  (request, _response, next) => {
    const bytes: unknown = request.body;
    const text = decode(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0));
    request.body = parse(text);
    next();
  },
];

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(400, "malformed-body", "The body is not UTF-8. Send UTF-8 JSON");
  }
}

function parse(text: string): object {
  const read = parseExact(text);
  if (read.type === "changed") throw new Problem(400, "invalid-request", read.problem);
  if (read.type === "no-json" || typeof read.value !== "object" || read.value === null) throw noJson();
  return read.value;
}

function noJson(): Problem {
  return new Problem(400, "malformed-json", "The body is not JSON. Send one JSON object");
}
