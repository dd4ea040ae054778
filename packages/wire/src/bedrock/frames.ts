/**
 * The binary framing of event streams, big-endian: total length, headers length, CRC-32 of those two, headers,
 * payload, CRC-32 of everything before. Each header: name length (1 byte), name, type 7 (string), value length
 * (2 bytes), value.
 */
import { crc32 } from "node:zlib";

/** One message of an event stream. */
export type Frame =
  | { readonly kind: "event"; readonly name: string; readonly payload: unknown }
  /** `name` begins with a lower-case letter, as in the union of the operation. */
  | { readonly kind: "exception"; readonly name: string; readonly payload: unknown };

const PRELUDE_LENGTH = 8;
const CHECKSUM_LENGTH = 4;
const STRING_TYPE = 7;

/** The real service pads its events, so that their length on the wire says nothing about the text. */
const PADDING = "abcdefghijklmnopqrstuvwxyz";

/** The payload of an event with its padding. */
export function padded(payload: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const length = JSON.stringify(payload).length % PADDING.length;
  return { ...payload, p: PADDING.slice(0, length + 1) };
}

/** A frame as bytes. */
export function encodeFrame(frame: Frame): Buffer {
  return encodeMessage(
    {
      [`:${frame.kind}-type`]: frame.name,
      ":content-type": "application/json",
      ":message-type": frame.kind,
    },
    Buffer.from(JSON.stringify(frame.payload)),
  );
}

/** A message with string headers as bytes. */
export function encodeMessage(headers: Readonly<Record<string, string>>, payload: Uint8Array): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)));
  const total = PRELUDE_LENGTH + CHECKSUM_LENGTH + head.length + payload.length + CHECKSUM_LENGTH;
  const bytes = Buffer.alloc(total);
  bytes.writeUInt32BE(total, 0);
  bytes.writeUInt32BE(head.length, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, PRELUDE_LENGTH)), PRELUDE_LENGTH);
  bytes.set(head, PRELUDE_LENGTH + CHECKSUM_LENGTH);
  bytes.set(payload, PRELUDE_LENGTH + CHECKSUM_LENGTH + head.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, total - CHECKSUM_LENGTH)), total - CHECKSUM_LENGTH);
  return bytes;
}

function encodeHeader(name: string, value: string): Buffer {
  const nameBytes = Buffer.from(name);
  const valueBytes = Buffer.from(value);
  const bytes = Buffer.alloc(1 + nameBytes.length + 3 + valueBytes.length);
  bytes.writeUInt8(nameBytes.length, 0);
  bytes.set(nameBytes, 1);
  bytes.writeUInt8(STRING_TYPE, 1 + nameBytes.length);
  bytes.writeUInt16BE(valueBytes.length, 2 + nameBytes.length);
  bytes.set(valueBytes, 4 + nameBytes.length);
  return bytes;
}
