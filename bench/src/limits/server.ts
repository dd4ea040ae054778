/**
 * The far side: what Bedrock's quota may look like. Its window is unpublished, so the limiter is held against
 * four. Each reserves input + max_tokens when a call starts and corrects it to the real use when it ends; a
 * refused call costs nothing.
 */

export const serverKinds = ["bucket-60", "bucket-10", "fixed-60", "sliding-60"] as const;
export type ServerKind = (typeof serverKinds)[number];

export interface Server {
  /** Takes the call, or refuses it with a 429. */
  start(id: number, reserved: number, now: number): boolean;
  end(id: number, used: number, now: number): void;
}

const WINDOW_MS = 60_000;
/** A stranger comes and goes: present in every second spell. */
const SPELL_MS = 300_000;

/** Fraction of the refill that a stranger leaves at this moment. */
function left(stranger: number, now: number): number {
  return Math.floor(now / SPELL_MS) % 2 === 1 ? 1 - stranger : 1;
}

/** How long the stranger was present between two moments. */
function presentMs(from: number, until: number): number {
  return presentSinceStart(until) - presentSinceStart(from);
}

function presentSinceStart(now: number): number {
  const spells = Math.floor(Math.max(0, now) / SPELL_MS);
  const whole = Math.floor(spells / 2) * SPELL_MS;
  return whole + (spells % 2 === 1 ? now - spells * SPELL_MS : 0);
}

/** What a stranger leaves of the quota from `from` to `until`, on average. */
export function leftOnAverage(stranger: number, from: number, until: number): number {
  return 1 - (stranger * presentMs(from, until)) / (until - from);
}

export function createServer(kind: ServerKind, tokensPerMinute: number, stranger: number): Server {
  switch (kind) {
    case "bucket-60":
      return bucket(tokensPerMinute, stranger, 60_000);
    case "bucket-10":
      return bucket(tokensPerMinute, stranger, 10_000);
    case "fixed-60":
      return fixedWindow(tokensPerMinute, stranger);
    case "sliding-60":
      return slidingWindow(tokensPerMinute, stranger);
  }
}

function bucket(tokensPerMinute: number, stranger: number, capacityMs: number): Server {
  const perMs = tokensPerMinute / WINDOW_MS;
  const held = new Map<number, number>();
  let level = perMs * capacityMs;
  let at = 0;
  const refill = (now: number): void => {
    level = Math.min(perMs * capacityMs, level + (now - at) * perMs * left(stranger, now));
    at = now;
  };
  return {
    start(id, reserved, now) {
      refill(now);
      if (level < reserved) return false;
      level -= reserved;
      held.set(id, reserved);
      return true;
    },
    end(id, used, now) {
      refill(now);
      level += (held.get(id) ?? 0) - used;
      held.delete(id);
    },
  };
}

function fixedWindow(tokensPerMinute: number, stranger: number): Server {
  const theirs = (now: number): number =>
    (tokensPerMinute / WINDOW_MS) * stranger * presentMs(Math.floor(now / WINDOW_MS) * WINDOW_MS, now);
  const held = new Map<number, { window: number; amount: number }>();
  let window = 0;
  let used = 0;
  const turn = (now: number): void => {
    const current = Math.floor(now / WINDOW_MS);
    if (current !== window) used = 0;
    window = current;
  };
  return {
    start(id, reserved, now) {
      turn(now);
      if (used + theirs(now) + reserved > tokensPerMinute) return false;
      used += reserved;
      held.set(id, { window, amount: reserved });
      return true;
    },
    end(id, real, now) {
      turn(now);
      const reservation = held.get(id);
      held.delete(id);
      if (reservation?.window === window) used += real - reservation.amount;
    },
  };
}

function slidingWindow(tokensPerMinute: number, stranger: number): Server {
  const theirs = (now: number): number =>
    (tokensPerMinute / WINDOW_MS) * stranger * presentMs(now - WINDOW_MS, now);
  const log: { at: number; amount: number }[] = [];
  const held = new Map<number, { at: number; amount: number }>();
  let oldest = 0;
  let used = 0;
  const slide = (now: number): void => {
    for (let entry = log[oldest]; entry && entry.at <= now - WINDOW_MS; entry = log[++oldest]) {
      used -= entry.amount;
      entry.amount = 0;
    }
  };
  return {
    start(id, reserved, now) {
      slide(now);
      if (used + theirs(now) + reserved > tokensPerMinute) return false;
      const entry = { at: now, amount: reserved };
      used += reserved;
      log.push(entry);
      held.set(id, entry);
      return true;
    },
    end(id, real, now) {
      slide(now);
      const entry = held.get(id);
      held.delete(id);
      if (!entry || entry.at <= now - WINDOW_MS) return;
      used += real - entry.amount;
      entry.amount = real;
    },
  };
}
