/**
 * Failed logins on record: the first of an address at once, those after it counted and written once a minute. None is left
 * out of the count, however many there are, and however many addresses.
 */
import { randomUUID } from "node:crypto";
import type { Audit } from "./audit.ts";

/** One login that failed. */
export interface FailedLogin {
  readonly from: string;
  /** Whose name was given, where the board has such a user. Other names may be passwords in the wrong field. */
  readonly user?: string | undefined;
  readonly reason: string;
}

/** How often what was counted is written, milliseconds. */
const EVERY_MS = 60_000;

/** Addresses that are counted apart. What others get wrong is counted together. */
const MOST_ADDRESSES = 100;

/** Users that are named in one line. */
const MOST_NAMED = 10;

const OTHERS = "other addresses";
const UNKNOWN = "unknown";

interface Count {
  readonly id: string;
  more: number;
  readonly users: Set<string>;
  readonly reasons: Map<string, number>;
}

export class FailedLogins {
  readonly #audit: Audit;
  readonly #counts = new Map<string, Count>();
  #timer: NodeJS.Timeout | undefined;

  constructor(audit: Audit) {
    this.#audit = audit;
  }

  add({ from, user = UNKNOWN, reason }: FailedLogin): void {
    const isNew = !this.#counts.has(from);
    const place = isNew && this.#counts.size >= MOST_ADDRESSES ? OTHERS : from;
    const known = this.#counts.get(place);
    const count = known ?? { id: randomUUID(), more: 0, users: new Set(), reasons: new Map() };
    this.#counts.set(place, count);
    if (known === undefined && place === from) {
      this.#audit({ id: count.id, phase: "refused", user, from, detail: `failed login: ${reason}` });
    } else {
      count.more += 1;
      if (count.users.size < MOST_NAMED) count.users.add(user);
      count.reasons.set(reason, (count.reasons.get(reason) ?? 0) + 1);
    }
    this.#timer ??= setTimeout(() => this.flush(), EVERY_MS).unref();
  }

  /** Writes what was counted since the last time. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [from, { id, more, users, reasons }] of this.#counts) {
      if (more === 0) continue;
      const why = [...reasons].map(([reason, times]) => `${reason} (${times})`).join(", ");
      const detail = `${more} ${from === OTHERS ? "" : "more "}failed logins within a minute: ${why}`;
      this.#audit({ id, phase: "refused", user: [...users].join(" "), from, detail });
    }
    this.#counts.clear();
  }
}
