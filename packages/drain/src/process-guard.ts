/**
 * Keeps a process that is not let in to a scope from asking for it: its credentials have ended, or it has no way to
 * Bedrock while others have. It stands before the scope's gate and around its calls: a call that meets such an error
 * closes the gate of this process, one call tries, and the gate opens again.
 */
import type { Clock, Emit, LocalTime } from "@sluice/job";
import type { Admission, Gate, Settled, Settlement } from "./ports.ts";
import { Refusals, type Subject } from "./refusals.ts";
import {
  doubted,
  IN,
  lookingOn,
  lostCanary,
  putOff,
  refused,
  renewed,
  sentCanary,
  type Out,
  type Standing,
  type Why,
} from "./standing.ts";
import { Way } from "./way.ts";

export interface ProcessGuardOptions {
  readonly scope: string;
  /**
   * Forgets the credentials and gets new ones. Resolves to the class of the failure when none come. Must not reject.
   */
  readonly renew: () => Promise<string | undefined>;
  /** Hears every change of whether the process is kept out. */
  readonly onChange: (out: KeptOut | undefined) => void;
  readonly emit: Emit;
  /** For what others read. */
  readonly clock: Clock;
  /** For its own waits: a clock that is set back must not keep the process idle, nor one that jumps let it ask without pause. */
  readonly monotonic: LocalTime["monotonic"];
}

export interface KeptOut {
  readonly why: Why;
  readonly errorClass: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** What a call has told of the credentials it was made with. */
export type Told =
  | { readonly type: "refused"; readonly errorClass: string }
  /** The service has looked at the request itself. */
  | { readonly type: "accepted" }
  | { readonly type: "nothing" };

/** A call whose guard hears what it meets. */
export interface Heard<Result> {
  readonly subject: Subject;
  /** Makes the call. `onSent`: it is on its way to the service. */
  readonly make: (onSent: () => void) => Promise<Result>;
  readonly tells: (result: Result) => Told;
  /** What was refused for its own sake, though the credentials are fine. */
  readonly asOwn: (result: Result) => Result;
}

export interface ProcessGuard {
  /** The gate, closed while the process is kept out, but for the one call that tries. */
  guard(gate: Gate): Gate;
  /** Makes a call, and hears what it tells. Rejects as `make` does. */
  hear<Result>(call: Heard<Result>): Promise<Result>;
  /** There are no credentials at all: it was looked for them without a call. */
  lacks(errorClass: string): void;
  /** Resolves when jobs of the pool may be fetched: at once, but while the process is kept out. */
  ready(pool: string, signal: AbortSignal): Promise<void>;
  readonly out: KeptOut | undefined;
  stop(): void;
}

/** Who asks meanwhile asks again after this, at most. */
const ASK_AGAIN_MS = 500;

/**
 * Signatures are checked before anything else, and refused within a fraction of a second. A call that is still out so
 * long after it was sent was let in, however long its model takes.
 */
const LET_IN_MS = 3_000;

/** Longer than the questions before a call are asked for, and the call until it is let in: who tries has its place so long. */
const CANARY_MS = 45_000;

export function createProcessGuard(options: ProcessGuardOptions): ProcessGuard {
  const { scope, renew, onChange, emit, clock, monotonic } = options;
  const way = new Way();
  const refusals = new Refusals(monotonic);
  let standing: Standing = IN;
  let told: KeptOut | undefined;
  /** When `told` began, by the monotonic clock. */
  let toldAt = 0;
  /** Pools that have tried these credentials in vain; `undefined`: there are none to try. */
  let barred: Set<string> | undefined = new Set();
  /** Those of them whose try has not told yet. */
  const trials = new Set<string>();
  /** Counts renewals: what a call tells that was made with earlier credentials is of no interest any more. */
  let generation = 0;
  let retrying: NodeJS.Timeout | undefined;
  let overdue: NodeJS.Timeout | undefined;
  let wake = Promise.withResolvers<void>();
  let stopped = false;

  const tellOut = ({ why, errorClass, since }: Out): void => {
    const out = { why, errorClass, since: Math.round(clock() - (monotonic() - since)) };
    told = out;
    toldAt = since;
    emit(out.why === "way" ? "way:lost" : "identity:lost", { scope, errorClass: out.errorClass });
    onChange(out);
  };
  const tellIn = ({ why }: KeptOut): void => {
    told = undefined;
    emit(why === "way" ? "way:found" : "identity:found", {
      scope,
      afterMs: Math.round(monotonic() - toldAt),
    });
    onChange(undefined);
  };
  const change = (next: Standing): void => {
    const before = standing;
    // What changes nothing must not set the timer again: a renewal that is under way would be joined by another.
    if (next === before) return;
    standing = next;
    clearTimeout(overdue);
    if (next.type === "in") trials.clear();
    if (next.type === "out" && told === undefined) tellOut(next);
    if (next.type === "in" && told !== undefined) tellIn(told);
    if (next.type === "out") {
      clearTimeout(retrying);
      if (!stopped) retrying = setTimeout(() => void retry(), Math.max(0, next.retryAt - monotonic()));
    } else if (before.type === "out") {
      wake.resolve();
      wake = Promise.withResolvers();
    }
  };
  /** One at a time: the next is due when this one has changed something. */
  const retry = async (): Promise<void> => {
    if (standing.type !== "out" || standing.why === "way") return change(renewed(standing));
    generation += 1;
    refusals.renewed();
    barred = new Set();
    trials.clear();
    const errorClass = await renew();
    if (stopped || standing.type !== "out") return;
    if (errorClass !== undefined) barred = undefined;
    change(errorClass === undefined ? renewed(standing) : refused(standing, errorClass, monotonic()));
  };
  /** A call that tries and is never heard of again must not keep the others waiting. */
  const lookOut = (id: string, waitMs: number): void => {
    if (stopped || standing.type !== "trying" || standing.canary !== id) return;
    overdue = setTimeout(() => change(lostCanary(standing, id)), waitMs + CANARY_MS);
  };
  /** Credentials that one pool has tried in vain may serve another, which tries them once. */
  const mayTry = (pool: string): boolean =>
    standing.type !== "out" || (standing.why === "identity" && barred?.has(pool) === false);

  const refuse = (pool: string, errorClass: string): void => {
    barred?.add(pool);
    trials.delete(pool);
    // Another pool's try beside the pause does not lengthen it.
    if (standing.type !== "out") change(refused(standing, errorClass, monotonic()));
  };

  /** A call that was never sent is told as the pool's failure, unless it is known to be this process's own. */
  const miss = async (gate: Gate, settlement: Settlement, errorClass: string): Promise<Settled> => {
    const { id } = settlement;
    const askedAt = monotonic();
    way.missed(askedAt);
    const looked = standing.type === "trying" && standing.canary === id;
    const own = standing.type !== "in" && standing.why === "way";
    const asFailure = !own || (looked && standing.type === "trying" && standing.quiet);
    // Who goes on at once would meet the same.
    if (!own) change(lostCanary(standing, id, askedAt + ASK_AGAIN_MS));
    if (standing.type === "in" && way.inDoubtSince !== undefined) {
      change(doubted(errorClass, way.inDoubtSince, askedAt));
    }
    const reply = await gate.settle(asFailure ? settlement : { ...settlement, outcome: "neutral" });
    way.told(reply, askedAt);
    if (looked && own && standing.type === "trying" && standing.canary === id) {
      const provedMs = way.othersSince(standing.since, monotonic());
      change(
        provedMs === undefined
          ? lookingOn(standing, monotonic())
          : // Answers become rare: it looks again as soon as they prove nothing.
            putOff(standing, errorClass, monotonic(), provedMs < RARE_MS ? provedMs + 1 : undefined),
      );
    }
    return reply;
  };

  return {
    guard: (gate) => ({
      ...gate,
      async admit(request): Promise<Admission> {
        if (standing.type === "in") return gate.admit(request);
        const { why: cause } = standing;
        if (standing.type === "out") {
          const afterMs = Math.max(0, standing.retryAt - monotonic());
          if (trials.has(request.pool)) {
            return { type: "open", afterMs: Math.min(ASK_AGAIN_MS, afterMs), cause };
          }
          if (!mayTry(request.pool)) return { type: "open", afterMs, cause, elsewhere: true };
          barred?.add(request.pool);
          trials.add(request.pool);
          const forget = (): void => {
            barred?.delete(request.pool);
            trials.delete(request.pool);
          };
          const admission = await gate.admit(request).catch((error: unknown) => {
            forget();
            throw error;
          });
          if (admission.type !== "granted") forget();
          return admission;
        }
        const tooSoonMs = standing.notBefore - monotonic();
        if (standing.canary !== undefined || tooSoonMs > 0) {
          const afterMs = standing.canary === undefined ? Math.min(ASK_AGAIN_MS, tooSoonMs) : ASK_AGAIN_MS;
          return { type: "open", afterMs, cause };
        }
        change(sentCanary(standing, request.id));
        const admission = await gate.admit(request).catch((error: unknown) => {
          change(lostCanary(standing, request.id));
          throw error;
        });
        if (admission.type === "granted") lookOut(request.id, admission.waitMs);
        else change(lostCanary(standing, request.id));
        return admission;
      },
      async settle({ unreached, ...settlement }) {
        if (unreached !== undefined) return miss(gate, settlement, unreached);
        change(lostCanary(standing, settlement.id));
        const reply = await gate.settle(settlement);
        if (settlement.outcome === "ok") way.answered(monotonic());
        return reply;
      },
    }),

    async hear({ subject, make, tells, asOwn }) {
      const made = generation;
      const madeAt = monotonic();
      let letIn: NodeJS.Timeout | undefined;
      const accept = (): void => {
        if (made !== generation) return;
        refusals.letIn(subject, madeAt);
        if (standing.type !== "in" && standing.why === "identity") change(IN);
      };
      const onSent = (): void => {
        way.reached();
        if (standing.type !== "in" && standing.why === "way") change(IN);
        if (standing.type !== "in") letIn ??= setTimeout(accept, LET_IN_MS);
      };
      try {
        const result = await make(onSent);
        const tale = tells(result);
        if (tale.type === "accepted") accept();
        if (tale.type !== "refused" || made !== generation) return result;
        if (refusals.refused(subject)) return asOwn(result);
        refuse(subject.pool, tale.errorClass);
        return result;
      } finally {
        clearTimeout(letIn);
      }
    },

    lacks(errorClass) {
      if (standing.type === "out") return;
      barred = undefined;
      change(refused(standing, errorClass, monotonic()));
    },

    async ready(pool, signal) {
      while (!mayTry(pool) && !signal.aborted) {
        const gone = Promise.withResolvers<void>();
        const leave = (): void => gone.resolve();
        signal.addEventListener("abort", leave, { once: true });
        await Promise.race([wake.promise, gone.promise]);
        signal.removeEventListener("abort", leave);
      }
    },

    get out() {
      return told;
    },

    stop() {
      stopped = true;
      clearTimeout(retrying);
      clearTimeout(overdue);
    },
  };
}

/** Resolves as soon as jobs may be fetched that any of these pools can answer. */
export async function anyReady(
  pools: readonly { readonly guard: Pick<ProcessGuard, "ready">; readonly pool: string }[],
  signal: AbortSignal,
): Promise<void> {
  const found = new AbortController();
  // The others must not be waited for any longer: each wait listens to the process's own signal.
  const either = AbortSignal.any([signal, found.signal]);
  await Promise.race(pools.map(async ({ guard, pool }) => guard.ready(pool, either)));
  found.abort();
}

/** Answers of others are rare when the last is longer ago than this leaves of its time as a proof, milliseconds. */
const RARE_MS = 5_000;
