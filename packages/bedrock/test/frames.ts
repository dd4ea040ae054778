/** Frames of an event stream, as the service writes them, to play what no simulator has a reason to do. */
import type { ServerResponse } from "node:http";
import { crc32 } from "node:zlib";

/** An event of ConverseStream by its name. A text is sent as it is, JSON or not. */
export function event(name: string, payload: object | string): Buffer {
  return frame({ ":message-type": "event", ":event-type": name }, payload);
}

/** A message of type `error`, which no operation models. */
export function errorMessage(code: string, message: string): Buffer {
  return frame({ ":message-type": "error", ":error-code": code, ":error-message": message }, "");
}

export function exception(name: string, payload: object): Buffer {
  return frame({ ":message-type": "exception", ":exception-type": name }, payload);
}

/** Begins the response of a stream. */
export function beginStream(response: ServerResponse, ...frames: readonly Buffer[]): void {
  response.writeHead(200, {
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": "r-7",
  });
  response.write(Buffer.concat(frames));
}

function frame(headers: Readonly<Record<string, string>>, payload: object | string): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)));
  const body = Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
  const bytes = Buffer.alloc(16 + head.length + body.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(head.length, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  bytes.set(head, 12);
  bytes.set(body, 12 + head.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

function header(name: string, value: string): Buffer {
  const prefix = Buffer.from([name.length, ...Buffer.from(name), 7, 0, 0]);
  prefix.writeUInt16BE(Buffer.byteLength(value), prefix.length - 2);
  return Buffer.concat([prefix, Buffer.from(value)]);
}
