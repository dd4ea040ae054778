/**
 * Whether this process is let in to a scope, as a state. Credentials belong to a process, and so does its way to
 * Bedrock: when one of them ends, no call of it can succeed, whichever job it is for, while its neighbours may go on. So
 * it asks for nothing more, renews what can be renewed, and lets one call try. Pure. All times are of the monotonic clock.
 */

/** What keeps a process out: its credentials, or its way there (addresses, connections, certificates). */
export type Why = "identity" | "way";

export type Standing =
  /** Nothing speaks against it. */
  | { readonly type: "in" }
  /** It is refused, or gets nowhere. Nothing is asked until `retryAt`. */
  | (Out & { readonly type: "out"; readonly retryAt: number })
  /** One call at a time finds out, none before `notBefore`. */
  | (Out & {
      readonly type: "trying";
      readonly canary: string | undefined;
      readonly notBefore: number;
      /** Nobody else is known to be let in: what its calls meet is told as everybody's. */
      readonly quiet: boolean;
    });

export interface Out {
  readonly why: Why;
  readonly errorClass: string;
  readonly since: number;
  /** The pause before the last try; 0 for the first, which follows at once. */
  readonly pauseMs: number;
}

export const IN: Standing = { type: "in" };

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/** Between two calls that look for a way while nobody is known to have one. */
const LOOK_AGAIN_MS = 250;

/** Credentials were refused, or could not be got. The first renewal follows at once, the next after 5 s, 10 s, … 60 s. */
export function refused(standing: Standing, errorClass: string, now: number): Standing {
  if (standing.type !== "in") return putOff(standing, errorClass, now);
  return { type: "out", why: "identity", errorClass, since: now, pauseMs: 0, retryAt: now };
}

/** So many calls in a row found no way that one at a time shall look for it; nobody knows yet whose matter it is. */
export function doubted(errorClass: string, since: number, now: number): Standing {
  return lookingOn({ why: "way", errorClass, since, pauseMs: 0 }, now);
}

/** That call found none either, and nobody else is answered: the next looks soon. */
export function lookingOn({ why, errorClass, since, pauseMs }: Out, now: number): Standing {
  const notBefore = now + LOOK_AGAIN_MS;
  return { type: "trying", why, errorClass, since, pauseMs, canary: undefined, notBefore, quiet: true };
}

/**
 * A try came to nothing while others are let in.
 * @param mostMs the next one follows after this at the latest.
 */
export function putOff(standing: Out, errorClass: string, now: number, mostMs: number = Infinity): Standing {
  const { why, since } = standing;
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, standing.pauseMs * 2));
  return { type: "out", why, errorClass, since, pauseMs, retryAt: now + Math.min(pauseMs, mostMs) };
}

/** A call may try. */
export function renewed(standing: Standing): Standing {
  if (standing.type !== "out") return standing;
  const { why, errorClass, since, pauseMs } = standing;
  return { type: "trying", why, errorClass, since, pauseMs, canary: undefined, notBefore: 0, quiet: false };
}

/** The gate has let a call go that tries. */
export function sentCanary(standing: Standing, canary: string): Standing {
  return standing.type === "trying" ? { ...standing, canary } : standing;
}

/** That call is over, and has not told. */
export function lostCanary(standing: Standing, canary: string, notBefore = 0): Standing {
  if (standing.type !== "trying" || standing.canary !== canary) return standing;
  return { ...standing, canary: undefined, notBefore: Math.max(standing.notBefore, notBefore) };
}
