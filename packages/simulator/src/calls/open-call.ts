/** One call from its arrival to its record: what it holds of the quota, what it has spent, how it ended. */
import { type Exchange, sdkAttempt, ServiceError } from "@sluice/wire";
import type { CallOutcome } from "../evidence/call.ts";
import { throttleKind, throttleMessage } from "../quota/throttle.ts";
import { reservedTokens, settledTokens, type Usage } from "../quota/cost.ts";
import type { Reservation } from "../quota/meter.ts";
import type { Pool, Simulation } from "../simulation.ts";

/** Where a call goes. */
export interface Target {
  readonly operation: string;
  readonly region: string;
  readonly modelId: string;
  readonly pool: Pool;
}

/** A call that has arrived and is not over. */
export interface OpenCall {
  /** Labels of the caller, for the evidence. */
  requestMetadata: Readonly<Record<string, string>> | null;
  /** Name of the fault it meets, for the evidence. */
  fault: string | null;
  /** @throws ServiceError ThrottlingException when a quota refuses. */
  admit(input: Omit<Usage, "outputTokens">, maxTokens: number): void;
  /** The prompt is so long; nothing is asked of the quota. */
  measure(input: Omit<Usage, "outputTokens">): void;
  /** The answer is so long by now. */
  grow(outputTokens: number): void;
  /** Settles and records. Only the first end counts. */
  end(outcome: CallOutcome): void;
  usage(): Usage;
  /** Since the call arrived; `firstTokenMs` up to the first growth. */
  elapsed(): { readonly firstTokenMs: number; readonly latencyMs: number };
}

const nothing: Usage = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 };

/** Counts the call in. Whoever opens it ends it. */
export function openCall(simulation: Simulation, exchange: Exchange, target: Target): OpenCall {
  const { clock, ledger } = simulation;
  const { model, meter } = target.pool;
  const startedAt = clock.now();
  let usage = nothing;
  let reservation: Reservation | undefined;
  let firstTokenMs: number | undefined;
  let isOver = false;
  ledger.begin(target.region, target.modelId);

  const call: OpenCall = {
    requestMetadata: null,
    fault: null,
    admit: (input, maxTokens) => {
      const admission = meter.admit(clock.now(), reservedTokens(input, maxTokens));
      if (!admission.admitted) {
        throw new ServiceError("ThrottlingException", throttleMessage[admission.throttledBy]);
      }
      ({ reservation } = admission);
      usage = { ...input, outputTokens: 0 };
    },
    measure: (input) => {
      usage = { ...input, outputTokens: 0 };
    },
    grow: (outputTokens) => {
      firstTokenMs ??= Math.round(clock.now() - startedAt);
      usage = { ...usage, outputTokens };
      if (reservation === undefined) return;
      reservation = meter.runDown(clock.now(), reservation, settledTokens(usage, model.burndown));
    },
    end: (outcome) => {
      if (isOver) return;
      isOver = true;
      const settled = reservation === undefined ? 0 : settledTokens(usage, model.burndown);
      if (reservation !== undefined) meter.settle(clock.now(), reservation, settled);
      ledger.end({
        requestId: exchange.requestId,
        operation: target.operation,
        region: target.region,
        model: target.modelId,
        ...sdkAttempt(exchange.headers),
        startedAt,
        endedAt: clock.now(),
        admitted: reservation !== undefined,
        reservedTokens: reservation?.tokens ?? 0,
        settledTokens: settled,
        inputTokens: usage.inputTokens + usage.cacheReadInputTokens + usage.cacheWriteInputTokens,
        outputTokens: usage.outputTokens,
        fault: call.fault,
        requestMetadata: call.requestMetadata,
        ...outcome,
      });
    },
    usage: () => usage,
    elapsed: () => {
      const latencyMs = Math.round(clock.now() - startedAt);
      return { firstTokenMs: firstTokenMs ?? latencyMs, latencyMs };
    },
  };
  return call;
}

/** How an error shows in the evidence. */
export function outcomeOf(error: unknown): CallOutcome {
  if (!(error instanceof ServiceError)) return { outcome: "error", error: "InternalFailure" };
  if (error.name === "ThrottlingException")
    return { outcome: "throttled", throttle: throttleKind(error.message) };
  return { outcome: "error", error: error.name };
}
