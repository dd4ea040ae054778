/** Brings an answer to the client in one piece. */
import { sendAnswer } from "@sluice/wire";
import { breakOff, breaksBody } from "./break-off.ts";
import { type Delivery, generationOf, grow, outcomeOfStop } from "./delivery.ts";
import type { WholeReply } from "../dialects/reply.ts";

/** The client sees nothing of a growing answer; its quota is metered about this often. */
const METERED_EVERY_MS = 1_000;
const LEAST_TOKENS_METERED = 64;

/** Answers when the whole text is there. */
export async function deliverWhole(delivery: Delivery, reply: WholeReply): Promise<void> {
  const { call, exchange, fault, answer } = delivery;
  for await (const tokens of grow(delivery, METERED_EVERY_MS, LEAST_TOKENS_METERED)) {
    if (tokens === answer.outputTokens) break;
  }
  if (exchange.signal.aborted) return call.end({ outcome: "disconnected" });
  const { body, headers = {} } = reply.render(generationOf(delivery));
  if (fault === undefined || !breaksBody(fault)) {
    call.end(outcomeOfStop(answer.stopReason));
    return sendAnswer(exchange, 200, body, headers);
  }
  const bytes = Buffer.from(JSON.stringify(body));
  // A cleanly ended half is no breach of the protocol only where no length was announced.
  const isCut = fault.type === "reset" || fault.type === "hang";
  exchange.response.writeHead(200, {
    "content-type": "application/json",
    "x-amzn-requestid": exchange.requestId,
    ...(isCut && { "content-length": bytes.length }),
    ...headers,
  });
  exchange.response.write(bytes.subarray(0, bytes.length / 2));
  return breakOff(delivery, fault);
}
