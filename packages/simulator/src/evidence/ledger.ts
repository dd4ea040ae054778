/** The simulator's own account of what happened: counters per model and the last calls one by one. */
import type { ThrottleKind } from "../quota/throttle.ts";
import type { Call, FinishedCall } from "./call.ts";

/** Older calls are forgotten; counters are not. */
const CALLS_KEPT = 100_000;

/** Counters of one model in one Region since the start. */
export interface ModelStats {
  calls: number;
  admitted: number;
  completed: number;
  filtered: number;
  disconnected: number;
  throttled: Record<ThrottleKind, number>;
  /** By exception name; throttles are not repeated here. */
  errors: Record<string, number>;
  /** Calls the SDK sent again by itself. */
  sdkRetries: number;
  inputTokens: number;
  outputTokens: number;
  reservedTokens: number;
  settledTokens: number;
  inFlight: number;
  peakInFlight: number;
}

/** A page of calls. */
export interface CallPage {
  readonly calls: readonly Call[];
  /** Pass as `after` to read on. */
  readonly next: number;
  /** How many calls between `after` and the first one shown are forgotten. */
  readonly forgotten: number;
}

/** Records calls and answers questions about them. */
export interface Ledger {
  /** A call has arrived for a model. */
  begin(region: string, model: string): void;
  end(call: FinishedCall): void;
  /** A request has been refused before it reached a model. */
  refuse(error: string): void;
  /** Refusals by exception name. */
  refused(): Readonly<Record<string, number>>;
  /** Counters of this moment by `region/model`. */
  stats(): Record<string, ModelStats>;
  page(after: number, limit: number): CallPage;
  /** Every call still remembered, in the order of ending. */
  calls(): readonly Call[];
  /** Forgets everything but the calls in flight. */
  reset(): void;
}

/** An empty ledger. */
export function createLedger(): Ledger {
  let calls: Call[] = [];
  let ended = 0;
  let refused: Record<string, number> = {};
  let models = new Map<string, ModelStats>();

  const statsOf = (region: string, model: string): ModelStats => {
    const key = `${region}/${model}`;
    let found = models.get(key);
    if (found === undefined) {
      found = emptyStats();
      models.set(key, found);
    }
    return found;
  };

  return {
    begin: (region, model) => {
      const stats = statsOf(region, model);
      stats.calls += 1;
      stats.inFlight += 1;
      stats.peakInFlight = Math.max(stats.peakInFlight, stats.inFlight);
    },
    end: (call) => {
      ended += 1;
      calls.push({ ...call, seq: ended });
      // Twice the limit before cutting: one copy per CALLS_KEPT calls, not one per call.
      if (calls.length >= CALLS_KEPT * 2) calls = calls.slice(-CALLS_KEPT);
      count(statsOf(call.region, call.model), call);
    },
    refuse: (error) => {
      refused[error] = (refused[error] ?? 0) + 1;
    },
    refused: () => ({ ...refused }),
    stats: () => structuredClone(Object.fromEntries(models)),
    page: (after, limit) => {
      const oldest = calls[0]?.seq ?? ended + 1;
      const from = Math.max(0, after + 1 - oldest);
      const page = calls.slice(from, from + limit);
      return {
        calls: page,
        next: page.at(-1)?.seq ?? Math.max(after, 0),
        forgotten: Math.max(0, oldest - after - 1),
      };
    },
    calls: () => calls,
    reset: () => {
      calls = [];
      refused = {};
      const inFlight = [...models].filter(([, stats]) => stats.inFlight > 0);
      models = new Map(
        inFlight.map(([key, { inFlight: now }]) => [
          key,
          { ...emptyStats(), inFlight: now, peakInFlight: now },
        ]),
      );
    },
  };
}

function emptyStats(): ModelStats {
  return {
    calls: 0,
    admitted: 0,
    completed: 0,
    filtered: 0,
    disconnected: 0,
    throttled: { requests: 0, tokens: 0, "tokens-per-day": 0, overloaded: 0 },
    errors: {},
    sdkRetries: 0,
    inputTokens: 0,
    outputTokens: 0,
    reservedTokens: 0,
    settledTokens: 0,
    inFlight: 0,
    peakInFlight: 0,
  };
}

function count(stats: ModelStats, call: FinishedCall): void {
  stats.inFlight -= 1;
  if (call.attempt !== null && call.attempt > 1) stats.sdkRetries += 1;
  if (call.admitted) {
    stats.admitted += 1;
    stats.inputTokens += call.inputTokens;
    stats.outputTokens += call.outputTokens;
    stats.reservedTokens += call.reservedTokens;
    stats.settledTokens += call.settledTokens;
  }
  switch (call.outcome) {
    case "throttled":
      stats.throttled[call.throttle] += 1;
      break;
    case "error":
      stats.errors[call.error] = (stats.errors[call.error] ?? 0) + 1;
      break;
    case "completed":
    case "filtered":
    case "disconnected":
      stats[call.outcome] += 1;
      break;
  }
}
