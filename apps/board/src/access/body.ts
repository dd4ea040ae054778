/**
 * The body of a write, as it was sent or not at all: parsers put a mark in the place of bytes that are no UTF-8, and an
 * edited request would be another than the one that was sent. The body of a read is nobody's: it is not parsed.
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import express, { type RequestHandler } from "express";
import { Refused } from "../refusal.ts";

/** Of those that are being read: the ones that hold other bytes than UTF-8. */
const odd = new WeakSet<IncomingMessage>();

/** @param limit most bytes, unpacked, e.g. `4mb`. */
export function jsonOfWrites(limit: string): readonly RequestHandler[] {
  return ofWrites(express.json({ limit, verify: marking((bytes) => bytes) }));
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
