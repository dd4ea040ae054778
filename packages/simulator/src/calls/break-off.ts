/** Ways for a response to end badly. */
import { encodeFrame, type Exchange, type ServiceError } from "@sluice/wire";
import { systemClock } from "../clock.ts";
import type { Fault } from "../faults/fault.ts";
import { type OpenCall, outcomeOf } from "./open-call.ts";

/** The call whose response breaks. */
interface Breaking {
  readonly call: OpenCall;
  readonly exchange: Exchange;
}

/** Bytes written before a reset are given this long to leave: a reset overtakes what is still queued. */
const FLUSH_MS = 20;

/** Whether a fault strikes in the middle of a stream. */
export function breaksStream(fault: Fault): boolean {
  switch (fault.type) {
    case "error":
      return fault.at === "mid-stream";
    case "reset":
    case "hang":
      return fault.at === "mid-body";
    case "early-end":
    case "truncated-frame":
    case "bad-checksum":
      return true;
    case "html":
    case "slow":
    case "stop":
    case "omit":
    case "body":
      return false;
    default:
      return fault satisfies never;
  }
}

/** Whether a fault strikes in the middle of a JSON body. Exceptions have struck before. */
export function breaksBody(fault: Fault): boolean {
  return breaksStream(fault) && fault.type !== "error";
}

/** The last frame before a break, as the fault leaves it. */
export function damage(bytes: Buffer, fault: Fault): Buffer {
  if (fault.type === "truncated-frame") return bytes.subarray(0, bytes.length / 2);
  return fault.type === "bad-checksum" ? spoilChecksum(bytes) : bytes;
}

/** The same frame with one bit of its last checksum turned. */
export function spoilChecksum(bytes: Buffer): Buffer {
  const spoilt = Buffer.from(bytes);
  spoilt.writeUInt8(spoilt.readUInt8(spoilt.length - 1) ^ 1, spoilt.length - 1);
  return spoilt;
}

/** Ends a response that is under way in the manner of a fault. */
export async function breakOff({ call, exchange }: Breaking, fault: Fault): Promise<void> {
  if (fault.type === "hang") return hang({ call, exchange });
  call.end({ outcome: "error", error: fault.type });
  if (fault.type !== "reset") {
    exchange.response.end();
    return;
  }
  await systemClock.sleep(FLUSH_MS, exchange.signal);
  exchange.socket.resetAndDestroy();
}

/** Cuts the connection before a byte of the response. */
export function resetNow({ call, exchange }: Breaking): void {
  call.end({ outcome: "error", error: "reset" });
  exchange.socket.resetAndDestroy();
}

/** Says nothing more until the client gives up. */
export async function hang({ call, exchange: { signal } }: Breaking): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  call.end({ outcome: "disconnected" });
}

/** An exception inside a stream: the status has long been 200. */
export function endWithException({ call, exchange }: Breaking, error: ServiceError): void {
  call.end(outcomeOf(error));
  const name = error.name.charAt(0).toLowerCase() + error.name.slice(1);
  exchange.response.write(
    encodeFrame({ kind: "exception", name, payload: { message: error.message, ...error.details } }),
  );
  exchange.response.end();
}
