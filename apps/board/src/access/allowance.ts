/** How many wrong passwords somebody has left: a token bucket for each key, of which a bounded number is remembered. */
import { isIPv6 } from "node:net";
import type { Clock } from "@sluice/job";

export interface AllowanceOptions {
  /** So many at once. */
  readonly most: number;
  /** One more after so long, milliseconds. */
  readonly everyMs: number;
}

/** Keys that are remembered. Beyond it the one that was spent longest ago is forgotten. */
const MOST_KEYS = 10_000;

export class Allowance {
  readonly #options: AllowanceOptions;
  readonly #clock: Clock;
  /** When the bucket is full again, by key. */
  readonly #fullAt = new Map<string, number>();

  constructor(options: AllowanceOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Whether nothing of it is spent. */
  isUntouched(key: string): boolean {
    return (this.#fullAt.get(key) ?? 0) <= this.#clock();
  }

  /** How long until there is one left, milliseconds; 0 when there is. */
  waitMs(key: string): number {
    const { most, everyMs } = this.#options;
    return Math.max(0, (this.#fullAt.get(key) ?? 0) - this.#clock() - (most - 1) * everyMs);
  }

  spend(key: string): void {
    const fullAt = Math.max(this.#fullAt.get(key) ?? 0, this.#clock()) + this.#options.everyMs;
    this.#fullAt.delete(key);
    this.#fullAt.set(key, fullAt);
    if (this.#fullAt.size <= MOST_KEYS) return;
    const [oldest] = this.#fullAt.keys();
    if (oldest !== undefined) this.#fullAt.delete(oldest);
  }
}

/** An address as limits count it: of IPv6 the first 64 bits, which one customer has to himself. */
export function countedAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => "0");
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}
