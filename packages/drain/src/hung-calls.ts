/**
 * Calls that a service has swallowed keep their slots until their time is over, minutes after it answers again. So when
 * every slot of a pool is out and nothing has been answered for longer than its answers take, a call beyond the slots goes
 * now and then, to find out. It loosens the slots of a model that is merely slow by a few calls at most.
 */
import type { Clock } from "@sluice/job";
import type { CallResult, Model } from "./ports.ts";

/** The slots of a pool in this process. */
export interface LendingSlots {
  /** Calls that may be in flight. */
  readonly total: number;
  /** Somebody waits for one, and none is free for him. */
  readonly blocked: boolean;
  /** Slots beyond the total. */
  extra: number;
}

export interface HungCallsOptions {
  readonly slots: LendingSlots;
  /** Slots that stay free for more urgent lanes, when only the least urgent calls. */
  readonly kept: number;
  readonly clock: Clock;
}

/** Nothing is answered for so long, or for twice as long as an answer takes. */
const SILENCE_MS = 10_000;

/** Answers that are remembered; what the longest of them took is what one takes. */
const ANSWERS = 20;

/** Part of the slots that may go beyond them within half a minute. Never more than there are slots. */
const PART = 1 / 4;
const SPELL_MS = 30_000;

/** Calls beyond the slots are at least so far apart. */
const GAP_MS = 5_000;

interface Open {
  readonly startedAt: number;
  /** It was out when nothing was answered. */
  hung: boolean;
}

export class HungCalls {
  readonly #options: HungCallsOptions;
  readonly #open = new Set<Open>();
  /** What the last answers took, milliseconds. */
  readonly #took: number[] = [];
  #answeredAt = -Infinity;
  #lentAt = -Infinity;

  constructor(options: HungCallsOptions) {
    this.#options = options;
  }

  /** The model, whose calls are watched. */
  watch(model: Model): Model {
    return {
      ...model,
      call: async (work, call) => {
        const open = { startedAt: this.#options.clock(), hung: false };
        this.#open.add(open);
        try {
          const result = await model.call(work, call);
          this.#hear(result, open);
          return result;
        } finally {
          this.#open.delete(open);
          this.check();
        }
      },
    };
  }

  /** Lends a slot when it is time for one. To be called every second or so. */
  check(): void {
    const { slots, clock } = this.#options;
    const now = clock();
    const silentMs = this.#silentMs(now);
    if (silentMs < this.#longestMs) {
      // Calls are answered again, and those that hang hold their slots all the same: some go on beside them.
      const hung = [...this.#open].filter((each) => each.hung).length;
      slots.extra = Math.max(0, hung - slots.total) + Math.min(hung, this.#most);
      return;
    }
    for (const each of this.#open) each.hung = true;
    const beyond = Math.max(0, this.#open.size - slots.total);
    if (slots.blocked && now - this.#lentAt >= this.#gapMs(silentMs) && beyond < this.#mostBeyond) {
      this.#lentAt = now;
      slots.extra = beyond + 1;
    }
  }

  get #most(): number {
    return Math.max(1, Math.floor(this.#options.slots.total * PART));
  }

  /** The longer it lasts, the rarer. */
  #gapMs(silentMs: number): number {
    return Math.max(GAP_MS, SPELL_MS / this.#most, silentMs / 8);
  }

  /** While nobody knows what an answer takes, the model may just be slow. */
  get #mostBeyond(): number {
    return this.#took.length > 0 ? this.#options.slots.total : this.#most;
  }

  /** What is longer is no answer's time. */
  get #longestMs(): number {
    return Math.max(SILENCE_MS, 2 * Math.max(0, ...this.#took));
  }

  /** How long every slot has been out without an answer; 0 while one is not. */
  #silentMs(now: number): number {
    const { slots, kept } = this.#options;
    if (this.#open.size < slots.total - kept) return 0;
    const oldest = Math.min(now, ...[...this.#open].map(({ startedAt }) => startedAt));
    return now - Math.max(this.#answeredAt, oldest);
  }

  #hear(result: CallResult, { startedAt }: Open): void {
    // Whatever has a status was looked at, whatever came of it.
    const isRefused = result.type === "failed" && result.failure.status !== undefined;
    if (!isRefused && (result.type === "failed" || result.type === "aborted")) return;
    const now = this.#options.clock();
    this.#answeredAt = now;
    if (isRefused) return;
    this.#took.push(now - startedAt);
    if (this.#took.length > ANSWERS) this.#took.shift();
  }
}
