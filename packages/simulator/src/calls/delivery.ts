/** One admitted call on its way out, and how fast its answer grows. */
import type { Exchange, ServiceError } from "@sluice/wire";
import type { CallOutcome } from "../evidence/call.ts";
import type { AnswerPart, Fault } from "../faults/fault.ts";
import { raise } from "../faults/raise.ts";
import type { Simulation } from "../simulation.ts";
import { drawPace, generate, type Pace } from "./generate.ts";
import type { OpenCall, Target } from "./open-call.ts";
import type { Generation } from "../dialects/reply.ts";

/** What is to be said. */
export interface Answer {
  readonly text: string;
  readonly outputTokens: number;
  readonly stopReason: string;
  readonly stopSequence: string | undefined;
}

/** Everything that delivering an answer needs. */
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

/** Lets the answer grow, metered, `stepMs` at a time but at least `leastTokens`. Ends early with the client. */
export async function* grow(
  delivery: Delivery,
  stepMs: number,
  leastTokens: number,
): AsyncGenerator<number, void, undefined> {
  const { answer, call, exchange, simulation } = delivery;
  const pace = paceOf(delivery);
  const step =
    pace.perTokenMs === 0 ? leastTokens : Math.max(leastTokens, Math.ceil(stepMs / pace.perTokenMs));
  for await (const tokens of generate(pace, answer.outputTokens, step, simulation.clock, exchange.signal)) {
    call.grow(tokens);
    yield tokens;
  }
}

function paceOf({ simulation, target, fault, isFree }: Delivery): Pace {
  if (isFree) return { firstTokenMs: 0, perTokenMs: 0 };
  const factor = fault?.type === "slow" ? fault.factor : 1;
  return drawPace(target.pool.model.latency, simulation.timeScale * factor, simulation.random);
}

/** The answer with what the response reports about it. */
export function generationOf({ answer, call, fault }: Delivery): Generation {
  return { ...answer, usage: call.usage(), ...call.elapsed(), omit: omittedBy(fault) };
}

/** What a fault leaves out of an answer. */
export function omittedBy(fault: Fault | undefined): readonly AnswerPart[] {
  if (fault?.type === "omit") return fault.parts;
  return (fault?.type === "stop" ? fault.omit : undefined) ?? [];
}

/** How an answer that came to its end shows in the evidence. */
export function outcomeOfStop(stopReason: string): CallOutcome {
  const isFiltered = stopReason === "content_filtered" || stopReason === "guardrail_intervened";
  return { outcome: isFiltered ? "filtered" : "completed", stopReason };
}

/** The error a fault stands for on this call. */
export function raiseIn(
  { target, simulation }: Pick<Delivery, "target" | "simulation">,
  fault: Extract<Fault, { type: "error" }>,
): ServiceError {
  return raise(fault, target.modelId, simulation.clock.now());
}
