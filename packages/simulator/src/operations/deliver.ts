/** Lets an answer grow and brings it to the client, whole or in frames, with the faults that strike on the way. */
import { CHARACTERS_PER_TOKEN } from "../answer/tokens.ts";
import { systemClock } from "../clock.ts";
import type { CallOutcome } from "../evidence/call.ts";
import type { Fault } from "../faults/fault.ts";
import { raise } from "../faults/raise.ts";
import type { Simulation } from "../simulation.ts";
import { type Exchange, sendJson } from "../wire/exchange.ts";
import { encodeFrame, type Frame, spoilChecksum } from "../wire/frames.ts";
import type { ServiceError } from "../wire/service-error.ts";
import { drawPace, generate, type Pace } from "./generate.ts";
import { type OpenCall, outcomeOf, type Target } from "./open-call.ts";
import type { Generation, StreamReply, WholeReply } from "./reply.ts";

/** What is to be said. */
export interface Answer {
  readonly text: string;
  readonly outputTokens: number;
  readonly stopReason: string;
  readonly stopSequence: string | undefined;
}

/** One admitted call on its way out. */
export interface Delivery {
  readonly simulation: Simulation;
  readonly exchange: Exchange;
  readonly target: Target;
  readonly call: OpenCall;
  readonly answer: Answer;
  readonly fault: Fault | undefined;
  /** The model has nothing to do: no wait. */
  readonly isFree: boolean;
}

/** A long answer in one piece is metered while it grows, about once in this time. */
const RUN_DOWN_EVERY_MS = 1_000;
/** Frames come at least this far apart. */
const FRAME_EVERY_MS = 25;
const LEAST_TOKENS_PER_FRAME = 8;
/** Bytes written before a reset are given this long to leave: a reset overtakes what is still queued. */
const FLUSH_MS = 20;

/** Answers in one piece. */
export async function deliverWhole(delivery: Delivery, reply: WholeReply): Promise<void> {
  const { call, exchange, fault, answer } = delivery;
  const pace = paceOf(delivery);
  const step = pace.perTokenMs === 0 ? answer.outputTokens : Math.ceil(RUN_DOWN_EVERY_MS / pace.perTokenMs);
  for await (const tokens of grow(delivery, pace, step)) call.grow(tokens);
  if (exchange.signal.aborted) return call.end({ outcome: "disconnected" });
  const { body, headers = {} } = reply.render(generationOf(delivery));
  if (fault === undefined || !breaksBody(fault)) {
    call.end(outcomeOfStop(answer.stopReason));
    return sendJson(exchange, 200, body, headers);
  }
  const bytes = Buffer.from(JSON.stringify(body));
  const length = fault.type === "reset" || fault.type === "hang" ? { "content-length": bytes.length } : {};
  exchange.response.writeHead(200, {
    "content-type": "application/json",
    "x-amzn-requestid": exchange.requestId,
    ...length,
    ...headers,
  });
  exchange.response.write(bytes.subarray(0, bytes.length / 2));
  await breakOff(delivery, fault);
}

/** Answers in frames. */
export async function deliverStream(delivery: Delivery, reply: StreamReply): Promise<void> {
  const { call, exchange, fault, answer } = delivery;
  const { response } = exchange;
  const write = (frames: readonly Frame[]): void => {
    for (const frame of frames) response.write(encodeFrame(frame));
  };
  response.writeHead(200, {
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": exchange.requestId,
    ...reply.headers,
  });
  if (fault?.type === "error" && fault.at === "first-frame")
    return endWithException(delivery, raiseIn(delivery, fault));

  write(reply.open(call.usage()));
  const pace = paceOf(delivery);
  const step = Math.max(
    LEAST_TOKENS_PER_FRAME,
    pace.perTokenMs === 0 ? 0 : Math.ceil(FRAME_EVERY_MS / pace.perTokenMs),
  );
  let sent = 0;
  for await (const tokens of grow(delivery, pace, step)) {
    call.grow(tokens);
    const end = tokens === answer.outputTokens ? answer.text.length : tokens * CHARACTERS_PER_TOKEN;
    const frames = reply.delta(answer.text.slice(sent, end));
    sent = end;
    if (fault === undefined || tokens * 2 < answer.outputTokens || !breaksStream(fault)) {
      write(frames);
      continue;
    }
    const [last, ...others] = frames.toReversed();
    write(others.toReversed());
    if (fault.type === "error") {
      if (last !== undefined) write([last]);
      return endWithException(delivery, raiseIn(delivery, fault));
    }
    if (last !== undefined) response.write(damage(encodeFrame(last), fault));
    return breakOff(delivery, fault);
  }
  if (exchange.signal.aborted) return call.end({ outcome: "disconnected" });
  call.end(outcomeOfStop(answer.stopReason));
  write(reply.close(generationOf(delivery)));
  response.end();
}

function paceOf({ simulation, target, fault, isFree }: Delivery): Pace {
  if (isFree) return { firstTokenMs: 0, perTokenMs: 0 };
  const factor = fault?.type === "slow" ? fault.factor : 1;
  return drawPace(target.pool.model.latency, simulation.timeScale * factor, simulation.random);
}

function grow(delivery: Delivery, pace: Pace, step: number): AsyncGenerator<number, void, undefined> {
  const { answer, simulation, exchange } = delivery;
  return generate(pace, answer.outputTokens, Math.max(1, step), simulation.clock, exchange.signal);
}

function generationOf({ answer, call }: Delivery): Generation {
  return { ...answer, usage: call.usage(), ...call.elapsed() };
}

function outcomeOfStop(stopReason: string): CallOutcome {
  const isFiltered = stopReason === "content_filtered" || stopReason === "guardrail_intervened";
  return { outcome: isFiltered ? "filtered" : "completed", stopReason };
}

/** Whether a fault strikes in the middle of a JSON body. Exceptions have struck before. */
function breaksBody(fault: Fault): boolean {
  return breaksStream(fault) && fault.type !== "error";
}

/** Whether a fault strikes in the middle of a stream. */
function breaksStream(fault: Fault): boolean {
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
      return false;
    default:
      return fault satisfies never;
  }
}

function damage(bytes: Buffer, fault: Fault): Buffer {
  if (fault.type === "truncated-frame") return bytes.subarray(0, bytes.length / 2);
  return fault.type === "bad-checksum" ? spoilChecksum(bytes) : bytes;
}

/** Ends a response that is under way in the manner of a fault. */
async function breakOff({ call, exchange }: Delivery, fault: Fault): Promise<void> {
  if (fault.type === "hang") return hang(exchange, call);
  call.end({ outcome: "error", error: fault.type });
  if (fault.type !== "reset") {
    exchange.response.end();
    return;
  }
  await systemClock.sleep(FLUSH_MS, exchange.signal);
  exchange.socket.resetAndDestroy();
}

/** Says nothing more until the client gives up. */
export async function hang(exchange: Exchange, call: OpenCall): Promise<void> {
  const { signal } = exchange;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  call.end({ outcome: "disconnected" });
}

function raiseIn({ target, simulation }: Delivery, fault: Extract<Fault, { type: "error" }>): ServiceError {
  return raise(fault, target.modelId, simulation.clock.now());
}

/** An exception inside a stream: the status has long been 200. */
function endWithException({ call, exchange }: Delivery, error: ServiceError): void {
  call.end(outcomeOf(error));
  const name = error.name.charAt(0).toLowerCase() + error.name.slice(1);
  exchange.response.write(
    encodeFrame({ kind: "exception", name, payload: { message: error.message, ...error.details } }),
  );
  exchange.response.end();
}
