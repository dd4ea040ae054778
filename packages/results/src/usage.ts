/**
 * What calls reserve and what they use, by pool and prompt class: the figures behind the advice to keep `max_tokens`
 * tight. Sums only, so that a fleet adds to them without reading.
 */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";

/** Figures older than this say little about today's prompts. Counted from the last call of the pool. */
const TTL_SECONDS = 30 * 24 * 60 * 60;

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
    const pipeline = this.#redis.pipeline();
    for (const name of SUMS) {
      const amount = name === "calls" ? 1 : Math.round(call[name]);
      pipeline.hincrby(sums, `${call.promptClass}:${name}`, amount);
    }
    pipeline.zadd(longest, "GT", call.outputTokens, call.promptClass);
    pipeline.expire(sums, TTL_SECONDS);
    pipeline.expire(longest, TTL_SECONDS);
    const failed = (await pipeline.exec())?.find(([error]) => error !== null)?.[0];
    if (failed) throw failed;
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
