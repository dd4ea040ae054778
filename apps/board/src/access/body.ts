/**
 * The body of a write, as it was sent or not at all: parsers put a mark in the place of bytes that are no UTF-8, the nearest
 * double in that of a number, and of a key that comes twice they take the last, so an edited request would be another than
 * the one that was sent. The body of a read is nobody's: it is not parsed.
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { parseExact } from "@sluice/job";
import express, { type RequestHandler } from "express";
import { Refused } from "../refusal.ts";

/** Of those that are being read: the ones that hold other bytes than UTF-8. */
const odd = new WeakSet<IncomingMessage>();

/** @param limit most bytes, unpacked, e.g. `4mb`. */
export function jsonOfWrites(limit: string): readonly RequestHandler[] {
  const verify = marking((bytes) => bytes);
  return [...ofWrites(express.raw({ type: "application/json", limit, verify })), exactly];
}

const CHARSET = /charset\s*=\s*"?([^\s;"]+)/i;

/** What `express.raw` has read as bytes becomes what it says. No body is an empty object, as Bull Board sends none. */
const exactly: RequestHandler = (request, _response, next) => {
  const bytes: unknown = request.body;
  if (Buffer.isBuffer(bytes)) {
    const [, charset = "utf-8"] = CHARSET.exec(request.get("content-type") ?? "") ?? [];
    if (!/^(utf-?8|us-ascii)$/i.test(charset)) throw new Refused(415, "Expected JSON in UTF-8");
    request.body = bytes.length === 0 ? {} : parse(bytes.toString("utf8"));
  }
  next();
};

function parse(text: string): object {
  const read = parseExact(text);
  if (read.type === "changed") throw new Refused(400, read.problem);
  if (read.type === "no-json" || typeof read.value !== "object" || read.value === null) {
    throw new Refused(400, "The body is not JSON. Expected one object");
  }
  return read.value;
}

/** @param limit most bytes, as they are encoded in the form. */
export function formOfWrites(limit: string): readonly RequestHandler[] {
  const verify = marking(unescaped);
  return ofWrites(express.urlencoded({ extended: false, limit, verify }));
}

function marking(textOf: (bytes: Buffer) => Buffer) {
  return (request: IncomingMessage, _response: ServerResponse, bytes: Buffer): void => {
    // What a parser's check throws becomes 403.
    if (!isUtf8(textOf(bytes))) odd.add(request);
  };
}

/** The bytes that a form stands for. */
function unescaped(form: Buffer): Buffer {
  const text = form
    .toString("latin1")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(text, "latin1");
}

function ofWrites(read: RequestHandler): readonly RequestHandler[] {
  return [
    (request, response, next) => {
      if (request.method === "GET" || request.method === "HEAD") next();
      else read(request, response, next);
    },
    (request, _response, next) => {
      if (odd.has(request)) throw new Refused(400, "Expected text in UTF-8, got other bytes");
      next();
    },
  ];
}
