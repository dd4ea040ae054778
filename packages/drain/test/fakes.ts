/** The drain's ports as plain objects that write down, in one list, what is asked of them. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  FAILURES,
  localTime,
  newJobId,
  NO_NOTES,
  type Answer,
  type Failure,
  type FailureRow,
  type FailureRule,
  type JobData,
  type Notes,
  type Outcome,
  type SluiceEvents,
} from "@sluice/job";
import {
  Drain,
  type Admission,
  type CacheLead,
  type Call,
  type CallResult,
  type Deferral,
  type DrainOptions,
  type Entry,
  type Held,
  type HeldQuota,
  type LedgerAnswer,
  type Settled,
  type Settlement,
} from "../src/index.ts";

export const NOW = 1_800_000_000_000;
export const SECRET = "the-secret-prompt";

export const usage = { inputTokens: 100, outputTokens: 20, cacheReadTokens: 0, cacheWriteTokens: 0 };
export const answer: Answer = {
  text: "the-secret-answer",
  stopReason: "end_turn",
  model: "model-1",
  usage,
  latencyMs: 30,
};
export const answered: CallResult = { type: "answered", answer };
export const granted: Admission = { type: "granted", waitMs: 0 };

type Failed = Extract<CallResult, { type: "failed" }>;

/** The ledger lets a call go. */
export function go(part: Partial<Extract<LedgerAnswer, { type: "go" }>> = {}): LedgerAnswer {
  return { type: "go", call: 1, lost: 0, left: [], unnamed: false, ...part };
}

/** A call that failed by a row of the table. */
export function failed(
  rule: FailureRule = "internal",
  part: Partial<Failure> = {},
  more: Partial<Failed> = {},
): Failed {
  const { kind, errorClasses, dimension, charge }: FailureRow = FAILURES[rule];
  const failure: Failure = {
    kind,
    errorClass: errorClasses[0] ?? "SomeException",
    message: "try later",
    ...(dimension === undefined ? {} : { dimension }),
    ...part,
  };
  return { type: "failed", failure, rule, charge, ...more };
}

/** What the limiter says of a pool that has just answered somebody else. */
export const othersAnswered: Settled = { answeredAgoMs: 0, operationAnsweredAgoMs: 0, shutMs: 0 };

export function newData(part: Partial<JobData> = {}): JobData {
  const request = { messages: [{ role: "user", content: [{ text: SECRET }] }], maxTokens: 50 };
  return {
    version: 1,
    id: newJobId("pool", "bulk", NOW - 1_000),
    tenant: "acme",
    pool: "pool",
    lane: "bulk",
    kind: "converse",
    payload: { encoding: "json", json: JSON.stringify(request) },
    acceptedAt: NOW - 1_000,
    deadlineAt: NOW + 3_600_000,
    maxAttempts: 3,
    ...part,
  };
}

/** How a job left the drain's hands. */
export type Left =
  | { readonly how: "completed"; readonly reference: unknown }
  | { readonly how: "deferred"; readonly deferral: Deferral }
  | { readonly how: "failed"; readonly failure: Failure };

export interface World {
  readonly drain: Drain;
  /** What was asked of the ports, in order. */
  readonly log: string[];
  readonly events: { readonly name: keyof SluiceEvents; readonly event: Record<string, unknown> }[];
  /** The last event of that name. */
  event(name: keyof SluiceEvents): Record<string, unknown> | undefined;
  readonly outcomes: Map<string, Outcome>;
  readonly settlements: Settlement[];
  readonly admitted: Parameters<Entry["gate"]["admit"]>[0][];
  /** What the ledger was told that calls hold, and what it was told is settled. */
  readonly begun: HeldQuota[];
  readonly forgotten: string[];
  readonly stop: AbortController;
  readonly abort: AbortController;
  /** Milliseconds since the epoch, as the drain sees it. */
  now: number;
  hold(data: unknown, part?: Partial<Held>): { readonly job: Held; readonly left: Left[] };
  /** `take`, and the run it resolves to if any. Resolves to how the job left. */
  through(data: unknown, part?: Partial<Held>): Promise<Left | undefined>;
}

/** What a test decides. Functions may throw, as a Redis that is away does. */
export interface Script {
  admit?: (asked: number) => Admission | Promise<Admission>;
  /** The second pool of the chain; left out, there is none. */
  elsewhere?: Script["admit"];
  /** Whether that pool has a free slot. Default: always. */
  slotElsewhere?: () => boolean;
  /** What comes of waiting for one. Default: one is there. */
  acquireElsewhere?: () => Promise<(() => void) | undefined>;
  call?: (call: Call, calls: number) => CallResult | Promise<CallResult>;
  putOutcome?: (puts: number) => void;
  getOutcome?: (gets: number) => void;
  settle?: (settles: number) => Settled;
  ledger?: (id: string) => LedgerAnswer;
  /** What the ledger says that calls hold which nobody has settled. */
  left?: readonly HeldQuota[];
  cancelRequested?: (asked: number) => boolean;
  cache?: () => CacheLead;
  notes?: Notes;
  options?: Partial<DrainOptions>;
}

export function world(script: Script = {}): World {
  const log: string[] = [];
  const events: World["events"] = [];
  const outcomes = new Map<string, Outcome>();
  const settlements: Settlement[] = [];
  const admitted: World["admitted"] = [];
  const begun: HeldQuota[] = [];
  const forgotten: string[] = [];
  const stop = new AbortController();
  const abort = new AbortController();
  const count = { admit: 0, call: 0, put: 0, get: 0, settle: 0, cancels: 0 };

  const takeSlot = (): (() => void) => {
    log.push("slot taken");
    return () => void log.push("slot released");
  };
  const entryOf = (pool: string, admit: Script["admit"]): Entry => ({
    pool,
    laneFor: (lane) => lane,
    tryAcquire: () => (script.slotElsewhere?.() === false ? undefined : takeSlot()),
    acquire: async (_lane, signal) => {
      if (script.acquireElsewhere !== undefined) return script.acquireElsewhere();
      return signal.aborted ? undefined : takeSlot();
    },
    gate: {
      async admit(request) {
        log.push(pool === "pool" ? "gate.admit" : `gate.admit ${pool}`);
        admitted.push(request);
        return (admit ?? (() => granted))((count.admit += 1));
      },
      async settle(settlement) {
        log.push(`gate.settle ${settlement.outcome}`);
        const reply = script.settle?.((count.settle += 1)) ?? {};
        settlements.push(settlement);
        return reply;
      },
    },
    model: {
      async call(_work, call) {
        log.push("model.call");
        return (script.call ?? (() => answered))(call, (count.call += 1));
      },
      budgetMs: () => 30_000,
      reserve: () => ({ requests: 1, tokens: 150 }),
      settled: ({ inputTokens, outputTokens }) => ({ requests: 1, tokens: inputTokens + outputTokens }),
      unfinished: () => ({}),
      learn: () => void log.push("model.learn"),
    },
  });

  const self: Pick<World, "now"> = { now: NOW };
  const drain = new Drain({
    chain: [
      entryOf("pool", script.admit),
      ...(script.elsewhere === undefined ? [] : [entryOf("other", script.elsewhere)]),
    ],
    outcomes: {
      async get(id) {
        script.getOutcome?.((count.get += 1));
        return outcomes.get(id);
      },
      async put(outcome) {
        log.push(`outcomes.put ${outcome.outcome}`);
        script.putOutcome?.((count.put += 1));
        if (outcomes.has(outcome.id)) return false;
        outcomes.set(outcome.id, outcome);
        return true;
      },
    },
    ledger: {
      async begin({ id, held }) {
        log.push("ledger.begin");
        if (held !== undefined) begun.push(held);
        return script.ledger?.(id) ?? go();
      },
      end: async () => void log.push("ledger.end"),
      abandon: async () => void log.push("ledger.abandon"),
      left: async () => script.left ?? [],
      forget: async (_id, reservations) => void forgotten.push(...reservations),
    },
    cancels: { isRequested: async () => script.cancelRequested?.((count.cancels += 1)) ?? false },
    cache: {
      lead: async () => script.cache?.() ?? { type: "leader" },
      put: async () => void log.push("cache.put"),
      release: async () => void log.push("cache.release"),
    },
    chunks: {
      open: () => ({
        write: () => {},
        replace: (text) => void log.push(`chunks.replace ${text}`),
        end: async (how) => void log.push(`chunks.end ${how}`),
        leave: async () => void log.push("chunks.leave"),
      }),
    },
    decodePayload: async (payload) => JSON.parse(payload.encoding === "json" ? payload.json : "{"),
    startPolling: async () => void log.push("polls.start"),
    abort: abort.signal,
    emit: (name, event) => void events.push({ name, event: { ...event } }),
    ...localTime,
    clock: () => self.now,
    random: () => 0.5,
    ...script.options,
  });

  const hold: World["hold"] = (data, part = {}) => {
    const left: Left[] = [];
    const leave = (how: Left, entryOfLog: string): void => {
      log.push(entryOfLog);
      left.push(how);
    };
    const id = typeof data === "object" && data !== null && "id" in data ? String(data.id) : "broken";
    const job: Held = {
      id,
      data,
      attemptsMade: 0,
      attemptsStarted: 1,
      stalls: 0,
      deferredFailure: undefined,
      notes: async () => script.notes ?? NO_NOTES,
      keepNotes: async () => {},
      invocation: async () => undefined,
      keepInvocation: async () => {},
      complete: async (reference) => leave({ how: "completed", reference }, "job.complete"),
      defer: async (deferral) => leave({ how: "deferred", deferral }, "job.defer"),
      fail: async (failure) => leave({ how: "failed", failure }, "job.fail"),
      ...part,
    };
    return { job, left };
  };

  return Object.assign(self, {
    drain,
    log,
    events,
    event: (name: keyof SluiceEvents) => events.findLast((each) => each.name === name)?.event,
    outcomes,
    settlements,
    admitted,
    begun,
    forgotten,
    stop,
    abort,
    hold,
    async through(data: unknown, part: Partial<Held> = {}) {
      const { job, left } = hold(data, part);
      const turn = await drain.take(job, stop.signal);
      if (turn !== undefined) {
        if (turn.waitMs > 0) await sleep(turn.waitMs, undefined, { signal: turn.off }).catch(() => undefined);
        await (
          await turn.start()
        )?.();
      }
      if (left.length > 1) throw new Error(`Expected the job to leave once, got ${JSON.stringify(left)}`);
      return left[0];
    },
  });
}
