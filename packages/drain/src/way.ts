/**
 * What is known of this process's way to Bedrock: how many calls in a row found none, and whether others are answered
 * meanwhile, as the limiter says of them. Only then is it the process's own matter, and not an outage. All times are of the
 * monotonic clock.
 */
import type { Settled } from "./ports.ts";

/** Calls in a row that were never sent. One or two are the stumbles of a healthy network. */
const MISSED = 3;

/**
 * Whoever else had a way has lost it too when nothing is answered for so long. Answers to calls that had been sent before
 * everybody lost theirs look like proofs for as long as their model takes.
 */
const QUIET_MS = 10_000;

export class Way {
  #missed = 0;
  #since = 0;
  /** When the limiter had heard of this process's own last answer, at the latest. */
  #ownAt = -Infinity;
  /** When others were answered last, at the earliest. */
  #othersAt = -Infinity;

  /** A call was sent. */
  reached(): void {
    this.#missed = 0;
  }

  /** A call was never sent. */
  missed(now: number): void {
    if (this.#missed === 0) this.#since = now;
    this.#missed += 1;
  }

  /** When the first of so many calls failed that there may be no way any more; else `undefined`. */
  get inDoubtSince(): number | undefined {
    return this.#missed >= MISSED ? this.#since : undefined;
  }

  /** The limiter has heard of an answer of this process. */
  answered(now: number): void {
    this.#ownAt = now;
  }

  /**
   * The limiter's word on a call that was not answered.
   * @param askedAt before it was asked: so an own answer is never taken for one of others.
   */
  told({ answeredAgoMs }: Pick<Settled, "answeredAgoMs">, askedAt: number): void {
    if (answeredAgoMs === undefined) return;
    const at = askedAt - answeredAgoMs;
    if (at > this.#ownAt) this.#othersAt = Math.max(this.#othersAt, at);
  }

  /**
   * Whether others have been answered since then, and still are; if so, for how long that can be said unless more is heard.
   */
  othersSince(since: number, now: number): number | undefined {
    const leftMs = QUIET_MS - (now - this.#othersAt);
    return this.#othersAt > since && leftMs >= 0 ? leftMs : undefined;
  }
}
