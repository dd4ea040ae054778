/**
 * What calls reserve and what they use, by pool and prompt class: the figures behind the advice to keep `max_tokens`
 * tight, and behind the room that is kept for answers. Sums only, so that a fleet adds to them without reading.
 */
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";

/** Figures older than this say little about today's prompts. Counted from the last call of the pool. */
const TTL_SECONDS = 30 * 24 * 60 * 60;

/** Prompt classes of a pool that are told apart. Callers name them, so there is a bound; the rest is one class. */
export const MOST_CLASSES = 200;

/** The class of all that came when there were as many as may be. No caller's name is written so. */
export const OTHER_CLASSES = "(others)";

/** Fewer calls than this say little about the next. */
const TELLING_CALLS = 20;

/** One answered call. */
export interface UsedCall {
  readonly pool: string;
  /** Names the kind of prompt. */
  readonly promptClass: string;
  /** Quota tokens held from start to end, and settled in the end. */
  readonly reservedTokens: number;
  readonly settledTokens: number;
  /** What the call allowed the model to write, and what it wrote. */
  readonly maxTokens: number;
  readonly outputTokens: number;
}

/** All calls of a prompt class. Means, but for the longest answer. */
export interface ClassUsage {
  readonly promptClass: string;
  readonly calls: number;
  readonly reservedTokens: number;
  readonly settledTokens: number;
  readonly maxTokens: number;
  readonly outputTokens: number;
  readonly longestOutputTokens: number;
}

const SUMS = ["calls", "reservedTokens", "settledTokens", "maxTokens", "outputTokens"] as const;

const add: Script<{ keys: readonly [string, string]; call: UsedCall }, string> = defineScript(
  new URL("../lua/usage-add.lua", import.meta.url),
  ({ keys, call }) => ({
    keys,
    argv: [
      call.promptClass,
      OTHER_CLASSES,
      MOST_CLASSES * SUMS.length,
      TTL_SECONDS,
      call.outputTokens,
      ...SUMS.flatMap((name) => [name, name === "calls" ? 1 : Math.round(call[name])]),
    ],
  }),
  String,
);

export class UsageStore {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** Adds a call to its class. */
  async add(call: UsedCall): Promise<void> {
    const { sums, longest } = this.#keys(call.pool);
    await add.run(this.#redis, { keys: [sums, longest], call });
  }

  /** Tokens of a pool's answer on average; `undefined` while there are too few to tell. */
  async meanOutputTokens(pool: string): Promise<number | undefined> {
    const fields = Object.entries(await this.#redis.hgetall(this.#keys(pool).sums));
    const total = (name: string): number =>
      fields.reduce((sum, [field, value]) => (field.endsWith(`:${name}`) ? sum + Number(value) : sum), 0);
    const calls = total("calls");
    return calls < TELLING_CALLS ? undefined : total("outputTokens") / calls;
  }

  /** The classes of a pool, the one with the most calls first. */
  async report(pool: string): Promise<ClassUsage[]> {
    const { sums, longest } = this.#keys(pool);
    const fields = await this.#redis.hgetall(sums);
    const classes = new Set(Object.keys(fields).map((field) => field.slice(0, field.lastIndexOf(":"))));
    const found = await Promise.all(
      [...classes].map(async (promptClass): Promise<ClassUsage> => {
        const sum = (name: (typeof SUMS)[number]): number => Number(fields[`${promptClass}:${name}`] ?? 0);
        const mean = (name: (typeof SUMS)[number]): number => Math.round(sum(name) / sum("calls"));
        return {
          promptClass,
          calls: sum("calls"),
          reservedTokens: mean("reservedTokens"),
          settledTokens: mean("settledTokens"),
          maxTokens: mean("maxTokens"),
          outputTokens: mean("outputTokens"),
          longestOutputTokens: Number((await this.#redis.zscore(longest, promptClass)) ?? 0),
        };
      }),
    );
    return found.toSorted((a, b) => b.calls - a.calls);
  }

  #keys(pool: string): { readonly sums: string; readonly longest: string } {
    const base = `${this.#keySpace}:usage:${pool}`;
    return { sums: base, longest: `${base}:longest` };
  }
}
