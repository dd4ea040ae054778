/** Brings an answer to the client in frames, as it grows. */
import { encodeFrame, type Frame } from "@sluice/wire";
import { CHARACTERS_PER_TOKEN } from "../answer/tokens.ts";
import type { Fault } from "../faults/fault.ts";
import { breakOff, breaksStream, damage, endWithException } from "./break-off.ts";
import { type Delivery, generationOf, grow, omittedBy, outcomeOfStop, raiseIn } from "./delivery.ts";
import type { StreamReply } from "../dialects/reply.ts";

/** Frames come at least this far apart, and with at least so much text. */
const FRAME_EVERY_MS = 25;
const LEAST_TOKENS_PER_FRAME = 8;

/** Answers with a 200 at once and the text as it comes. */
export async function deliverStream(delivery: Delivery, reply: StreamReply): Promise<void> {
  const { call, exchange, fault, answer } = delivery;
  exchange.response.writeHead(200, {
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": exchange.requestId,
    ...reply.headers,
  });
  if (fault?.type === "error" && fault.at === "first-frame") {
    return endWithException(delivery, raiseIn(delivery, fault));
  }
  write(delivery, reply.open(call.usage()));
  const isMute = omittedBy(fault).includes("content");
  let sent = 0;
  for await (const tokens of grow(delivery, FRAME_EVERY_MS, LEAST_TOKENS_PER_FRAME)) {
    const end = tokens === answer.outputTokens ? answer.text.length : tokens * CHARACTERS_PER_TOKEN;
    const frames = isMute ? [] : reply.delta(answer.text.slice(sent, end));
    sent = end;
    const isHalfway = tokens * 2 >= answer.outputTokens;
    if (fault !== undefined && isHalfway && breaksStream(fault)) return breakHere(delivery, frames, fault);
    write(delivery, frames);
  }
  if (exchange.signal.aborted) return call.end({ outcome: "disconnected" });
  call.end(outcomeOfStop(answer.stopReason));
  write(delivery, reply.close(generationOf(delivery)));
  exchange.response.end();
}

/** The last frames before the break; the very last one may be damaged. */
async function breakHere(delivery: Delivery, frames: readonly Frame[], fault: Fault): Promise<void> {
  write(delivery, frames.slice(0, -1));
  for (const last of frames.slice(-1)) delivery.exchange.response.write(damage(encodeFrame(last), fault));
  if (fault.type === "error") return endWithException(delivery, raiseIn(delivery, fault));
  return breakOff(delivery, fault);
}

function write({ exchange }: Delivery, frames: readonly Frame[]): void {
  for (const frame of frames) exchange.response.write(encodeFrame(frame));
}
