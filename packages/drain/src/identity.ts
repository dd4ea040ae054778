/**
 * Whether this process has credentials for a scope, as a state. Credentials belong to a process: when they end, no call
 * of it can succeed, whichever job it is for, while its neighbours may go on. So it asks for nothing more, gets new
 * ones, and lets one call try them. Pure.
 */

export type Identity =
  /** Nothing speaks against the credentials. */
  | { readonly type: "held" }
  /** They were refused, or none could be got. Nothing is asked until they are renewed, at `retryAt`. */
  | (Lost & { readonly type: "lost"; readonly retryAt: number })
  /** They are renewed, and one call at a time tries them. */
  | (Lost & { readonly type: "trying"; readonly canary: string | undefined });

interface Lost {
  readonly errorClass: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** The pause before the last renewal; 0 for the first, which follows at once. */
  readonly pauseMs: number;
}

export const HELD: Identity = { type: "held" };

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/** Credentials were refused, or could not be got. The first renewal follows at once, the next after 5 s, 10 s, … 60 s. */
export function refused(identity: Identity, errorClass: string, now: number): Identity {
  if (identity.type === "held") return { type: "lost", errorClass, since: now, pauseMs: 0, retryAt: now };
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, identity.pauseMs * 2));
  return { type: "lost", errorClass, since: identity.since, pauseMs, retryAt: now + pauseMs };
}

/** New credentials have come: a call may try them. */
export function renewed(identity: Identity): Identity {
  if (identity.type !== "lost") return identity;
  const { errorClass, since, pauseMs } = identity;
  return { type: "trying", errorClass, since, pauseMs, canary: undefined };
}

/** The gate has let a call go that tries them. */
export function sentCanary(identity: Identity, canary: string): Identity {
  return identity.type === "trying" ? { ...identity, canary } : identity;
}

/** That call is over, and has not told. */
export function lostCanary(identity: Identity, canary: string): Identity {
  if (identity.type !== "trying" || identity.canary !== canary) return identity;
  return { ...identity, canary: undefined };
}
