/** The request inside a job's data: plain JSON while it is short, gzip above a threshold. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Payload } from "./job.ts";

/** Below this, compression saves less memory in Redis than it costs to read and to look at. */
const COMPRESS_ABOVE_BYTES = 4 * 1024;

/** Nothing we accept unpacks to more; a bomb in a job's hash ends here instead of in memory. */
const MAX_UNPACKED_BYTES = 32 * 1024 * 1024;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** Encodes a request for storage in the job's data. */
export async function encodePayload(request: unknown): Promise<Payload> {
  const json = JSON.stringify(request);
  if (Buffer.byteLength(json) <= COMPRESS_ABOVE_BYTES) return { encoding: "json", json };
  return { encoding: "gzip", base64: (await pack(json)).toString("base64") };
}

/** Decodes what `encodePayload` made. Rejects on damaged data; the caller parses the result by its schema. */
export async function decodePayload(payload: Payload): Promise<unknown> {
  if (payload.encoding === "json") return JSON.parse(payload.json);
  const packed = Buffer.from(payload.base64, "base64");
  return JSON.parse((await unpack(packed, { maxOutputLength: MAX_UNPACKED_BYTES })).toString("utf8"));
}
