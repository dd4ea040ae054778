/**
 * Keeps a process whose credentials for a scope have ended from asking for it. It stands before the scope's gate and
 * around its calls: a call that meets such an error closes the gate of this process, new credentials are got, one call
 * tries them, and the gate opens again.
 */
import type { Clock, Emit } from "@sluice/job";
import { HELD, lostCanary, refused, renewed, sentCanary, type Identity } from "./identity.ts";
import type { Gate } from "./ports.ts";

export interface IdentityGuardOptions {
  readonly scope: string;
  /**
   * Forgets the credentials and gets new ones. Resolves to the class of the failure when none come. Must not reject.
   */
  readonly renew: () => Promise<string | undefined>;
  /** Hears every change of whether there are credentials. */
  readonly onChange: (lost: LostIdentity | undefined) => void;
  readonly emit: Emit;
  readonly clock: Clock;
}

export interface LostIdentity {
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

export interface IdentityGuard {
  /** The gate, closed while there are no credentials, but for the one call that tries new ones. */
  guard(gate: Gate): Gate;
  /** Makes a call, and hears what it tells. Rejects as `make` does. */
  hear<Result>(make: () => Promise<Result>, tells: (result: Result) => Told): Promise<Result>;
  /** Resolves when jobs of the scope may be fetched: at once, but while there are no credentials. */
  ready(signal: AbortSignal): Promise<void>;
  readonly lost: LostIdentity | undefined;
  stop(): void;
}

/** Who asks meanwhile asks again after this, at most. */
const ASK_AGAIN_MS = 500;

/**
 * Signatures are checked before anything else, and refused within a fraction of a second. A call that is still out after
 * this was let in, however long its model takes.
 */
const LET_IN_MS = 3_000;

/** Longer than the questions before a call are asked for, and the call until it is let in: who tries has its place so long. */
const CANARY_MS = 45_000;

export function createIdentityGuard(options: IdentityGuardOptions): IdentityGuard {
  const { scope, renew, onChange, emit, clock } = options;
  let identity: Identity = HELD;
  /** Counts renewals: what a call tells that was made with earlier credentials is of no interest any more. */
  let generation = 0;
  let retrying: NodeJS.Timeout | undefined;
  let overdue: NodeJS.Timeout | undefined;
  let wake = Promise.withResolvers<void>();
  let stopped = false;

  const change = (next: Identity): void => {
    const before = identity;
    // What changes nothing must not set the timer again: a renewal that is under way would be joined by another.
    if (next === before) return;
    identity = next;
    clearTimeout(overdue);
    if (before.type === "held" && next.type !== "held") {
      const { errorClass, since } = next;
      emit("identity:lost", { scope, errorClass });
      onChange({ errorClass, since });
    } else if (before.type !== "held" && next.type === "held") {
      emit("identity:found", { scope, afterMs: clock() - before.since });
      onChange(undefined);
    }
    if (next.type === "lost") {
      clearTimeout(retrying);
      if (!stopped) retrying = setTimeout(() => void retry(), Math.max(0, next.retryAt - clock()));
    } else if (before.type === "lost") {
      wake.resolve();
      wake = Promise.withResolvers();
    }
  };
  /** One at a time: the next is due when this one has changed something. */
  const retry = async (): Promise<void> => {
    generation += 1;
    const errorClass = await renew();
    if (stopped || identity.type !== "lost") return;
    change(errorClass === undefined ? renewed(identity) : refused(identity, errorClass, clock()));
  };
  /** A call that tries new credentials and is never heard of again must not keep the others waiting. */
  const lookOut = (id: string, waitMs: number): void => {
    if (stopped || identity.type !== "trying" || identity.canary !== id) return;
    overdue = setTimeout(() => change(lostCanary(identity, id)), waitMs + CANARY_MS);
  };

  return {
    guard: (gate) => ({
      ...gate,
      async admit(request) {
        if (identity.type === "held") return gate.admit(request);
        if (identity.type === "lost") {
          return {
            type: "open",
            afterMs: Math.max(0, identity.retryAt - clock()),
            cause: CAUSE,
            elsewhere: true,
          };
        }
        if (identity.canary !== undefined) return { type: "open", afterMs: ASK_AGAIN_MS, cause: CAUSE };
        change(sentCanary(identity, request.id));
        const admission = await gate.admit(request).catch((error: unknown) => {
          change(lostCanary(identity, request.id));
          throw error;
        });
        if (admission.type === "granted") lookOut(request.id, admission.waitMs);
        else change(lostCanary(identity, request.id));
        return admission;
      },
      async settle(settlement) {
        change(lostCanary(identity, settlement.id));
        return gate.settle(settlement);
      },
    }),

    async hear(make, tells) {
      const made = generation;
      const letIn =
        identity.type === "trying" ? setTimeout(() => tell({ type: "accepted" }), LET_IN_MS) : undefined;
      const tell = (told: Told): void => {
        if (made !== generation) return;
        if (told.type === "accepted" && identity.type === "trying") change(HELD);
        if (told.type === "refused" && identity.type !== "lost") {
          change(refused(identity, told.errorClass, clock()));
        }
      };
      try {
        const result = await make();
        tell(tells(result));
        return result;
      } finally {
        clearTimeout(letIn);
      }
    },

    async ready(signal) {
      while (identity.type === "lost" && !signal.aborted) {
        const gone = Promise.withResolvers<void>();
        const leave = (): void => gone.resolve();
        signal.addEventListener("abort", leave, { once: true });
        await Promise.race([wake.promise, gone.promise]);
        signal.removeEventListener("abort", leave);
      }
    },

    get lost() {
      return identity.type === "held"
        ? undefined
        : { errorClass: identity.errorClass, since: identity.since };
    },

    stop() {
      stopped = true;
      clearTimeout(retrying);
      clearTimeout(overdue);
    },
  };
}

/** Resolves as soon as jobs may be fetched that any of these scopes can answer. */
export async function anyReady(
  guards: readonly Pick<IdentityGuard, "ready">[],
  signal: AbortSignal,
): Promise<void> {
  const found = new AbortController();
  // The others must not be waited for any longer: each wait listens to the process's own signal.
  const either = AbortSignal.any([signal, found.signal]);
  await Promise.race(guards.map(async (guard) => guard.ready(either)));
  found.abort();
}

const CAUSE = "identity";
