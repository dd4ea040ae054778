/**
 * The time that all processes of a deployment share: that of Redis, less what its clock was set by while they ran. Each
 * process measures how far its own clock is from it every few seconds, and reckons with that in between, so that no job costs
 * a question.
 *
 * The time is reckoned from the process's monotonic clock: when somebody sets the machine's, nothing moves. How far that one
 * is off is measured beside it, as it is what tells an operator that a clock is wrong.
 */
import { STEP_MS, type TimeSource, type ToldTime } from "./time-source.ts";

export interface RedisClockOptions {
  readonly source: TimeSource;
  /** The machine's clock, milliseconds since the epoch. Default: `Date.now`. */
  readonly machine?: () => number;
  /** Milliseconds that only go forward. Default: `performance.now`. */
  readonly monotonic?: () => number;
}

/** What one question told: the time of Redis minus the monotonic one, milliseconds, and by how much that may be wrong. */
interface Sample {
  readonly offsetMs: number;
  readonly errorMs: number;
  readonly at: number;
}

/** Questions of the start, before anything is decided: a process that loads its modules answers itself late. */
const FIRST_SAMPLES = 3;

/** Samples of which the best is used. */
const WINDOW = 8;

/** How fast two clocks drift apart at most, while their machines are kept in time. */
const DRIFT = 0.000_5;

/** Redis tells whole microseconds, and we keep whole milliseconds. */
const ROUNDING_MS = 1;

/** A new measurement may set the time back by so much: then it stands still for as long instead. Milliseconds. */
const STANDSTILL_MS = 1_000;

/** From here on the clock of a machine is worth a word, and from here on nothing that was decided by it can be trusted. */
export const SKEW_MS: { readonly told: number; readonly apart: number } = { told: 1_000, apart: STEP_MS };

/** A skew is over when it is smaller than this share of what it was told at. */
const OVER = 0.8;

export class RedisClock {
  readonly #source: TimeSource;
  readonly #machine: () => number;
  readonly #monotonic: () => number;
  #samples: readonly Sample[] = [];
  #told: ToldTime = { redisMs: 0, correctionMs: 0, decidedAtMs: 0, verdict: "known" };
  /** The shared time minus the monotonic one. */
  #offsetMs: number | undefined;
  #knownAt: number | undefined;
  #skewMs = 0;
  #isSkewed = false;
  #isApart = false;
  #last = -Infinity;
  #measuring: Promise<void> | undefined;
  #together = Promise.withResolvers<void>();

  constructor({ source, machine = Date.now, monotonic = () => performance.now() }: RedisClockOptions) {
    this.#source = source;
    this.#machine = machine;
    this.#monotonic = monotonic;
  }

  /**
   * The shared time, whole milliseconds since the epoch; the machine's until it has been measured. It goes back only when
   * the clock of Redis was set back, by more than a second and less than half a minute.
   */
  readonly now = (): number => {
    if (this.#offsetMs === undefined) return Math.floor(this.#machine());
    const now = Math.floor(this.#monotonic() + this.#offsetMs);
    this.#last = now < this.#last && this.#last - now < STANDSTILL_MS ? this.#last : now;
    return this.#last;
  };

  /** Whether the shared time is known. */
  get isMeasured(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** Resolves when it is, at once but for the first time. Rejects when Redis does not answer. */
  async known(): Promise<void> {
    if (!this.isMeasured) await this.measure();
  }

  /** How far the machine's clock is ahead of Redis's, as of the last measurement, milliseconds; negative when it is behind. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** The machine's clock and Redis's are so far from each other that it is told. */
  get isSkewed(): boolean {
    return this.#isSkewed;
  }

  /**
   * The machine's is so far from Redis's and from the shared time that it or they must be wrong by any measure, and nobody can
   * say which. While that is so, `now` goes on as it was before.
   */
  get isApart(): boolean {
    return this.#isApart;
  }

  /**
   * The shared time minus Redis's, milliseconds: what Redis's clock was set back (positive) or forward (negative) by while
   * programs ran, and is not made up for yet. Whatever was to happen at a time happens then by the time as it was.
   */
  get correctionMs(): number {
    return this.#told.correctionMs;
  }

  /** Resolves as soon as the clocks are not apart, at once when they are not; or when the signal fires. */
  async together(signal: AbortSignal): Promise<void> {
    while (this.#isApart && !signal.aborted) {
      const gone = Promise.withResolvers<void>();
      const leave = (): void => gone.resolve();
      signal.addEventListener("abort", leave, { once: true });
      await Promise.race([this.#together.promise, gone.promise]);
      signal.removeEventListener("abort", leave);
    }
  }

  /** Asks Redis once; at the first time a few times. Rejects when Redis does not answer. */
  async measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    await this.#measuring;
  }

  async #measure(): Promise<void> {
    const count = this.isMeasured ? 1 : FIRST_SAMPLES;
    const samples: Sample[] = [];
    for (let asked = 0; asked < count; asked += 1) samples.push(await this.#ask());
    if (this.#told.verdict === "stepped") samples.push(await this.#ask(this.#told.redisMs));
    for (const sample of samples) this.#samples = withSample(this.#samples, sample);
    this.#conclude();
  }

  async #ask(steppedAtMs?: number): Promise<Sample> {
    const sentAt = this.#monotonic();
    const reckonedMs = this.#offsetMs === undefined ? undefined : sentAt + this.#offsetMs;
    const { decidedAtMs } = this.#told;
    const knownForMs = Math.floor(sentAt - (this.#knownAt ?? sentAt));
    this.#told = await this.#source.ask({ reckonedMs, knownForMs, decidedAtMs, steppedAtMs });
    const at = this.#monotonic();
    return { offsetMs: this.#told.redisMs - (sentAt + at) / 2, errorMs: (at - sentAt) / 2 + ROUNDING_MS, at };
  }

  #conclude(): void {
    const at = this.#monotonic();
    const best = bestOf(this.#samples, at);
    this.#skewMs = Math.round(this.#machine() - (at + best.offsetMs));
    const far = Math.abs(this.#skewMs);
    this.#isSkewed = far >= SKEW_MS.told * (this.#isSkewed ? OVER : 1);
    // A machine that agrees with the shared time is right by it, whatever Redis's own clock was set to meanwhile.
    const fromShared = Math.abs(this.#skewMs - this.#told.correctionMs);
    const isApart = Math.min(far, fromShared) > SKEW_MS.apart * (this.#isApart ? OVER : 1);
    if (isApart && !this.#isApart) this.#together = Promise.withResolvers();
    this.#isApart = isApart;
    const isSettled = !isApart && this.#told.verdict !== "stepped";
    if (isSettled || this.#offsetMs === undefined) this.#offsetMs = best.offsetMs + this.#told.correctionMs;
    this.#knownAt ??= at;
    if (!isApart) this.#together.resolve();
  }
}

/**
 * The window with one more sample. What a sample tells lies within its error; two that cannot both be true mean that Redis's
 * clock was set, that another server answers, or that this machine slept: then the older ones are of another time. Pure.
 */
function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const agrees = samples.every(
    (each) => Math.abs(each.offsetMs - sample.offsetMs) <= errorAt(each, sample.at) + sample.errorMs,
  );
  return [...(agrees ? samples : []), sample].slice(-WINDOW);
}

/** The sample that can be wrong by the least. */
function bestOf(samples: readonly Sample[], at: number): Sample {
  return samples.reduce((best, each) => (errorAt(each, at) <= errorAt(best, at) ? each : best));
}

function errorAt({ errorMs, at: madeAt }: Sample, at: number): number {
  return errorMs + (at - madeAt) * DRIFT;
}

/** How far one clock is from another, in words, for those who have to set one. */
export function describeSkew(skewMs: number): string {
  const seconds = (Math.abs(skewMs) / 1_000).toFixed(1);
  return `The clock of this machine is ${seconds} s ${skewMs < 0 ? "behind" : "ahead of"} that of Redis`;
}
