/** What a program stands on: its Redis, and whatever else it needs; looked at when it starts and from then on. */
import type { Emit } from "@sluice/job";
import { isUnfit, RedisWatch, type Health, type RedisNews, type RedisWatchOptions } from "@sluice/redis";
import { Needs, type Need } from "./needs.ts";
import { tellRedisNews } from "./redis-news.ts";

export interface StandingOptions extends Pick<RedisWatchOptions, "redis" | "keySpaces" | "clock"> {
  readonly needs: readonly Need[];
  readonly emit: Emit;
  /** Hears why the program cannot go on with this Redis. Default: nobody. */
  readonly onUnfit?: ((sentence: string) => void) | undefined;
  /** Hears what was noticed of Redis, after it was told. Default: nobody. */
  readonly onNews?: (news: RedisNews) => void;
}

export class Standing {
  readonly #watch: RedisWatch;
  readonly #needs: Needs;
  readonly #onUnfit: (sentence: string) => void;
  readonly #leaving = new AbortController();

  constructor(options: StandingOptions) {
    const { redis, keySpaces, needs, emit, clock, onUnfit = () => {}, onNews = () => {} } = options;
    this.#onUnfit = onUnfit;
    const tell = tellRedisNews(emit, onUnfit);
    this.#watch = new RedisWatch({
      redis,
      keySpaces,
      clock,
      onNews: (news) => {
        tell(news);
        onNews(news);
      },
    });
    this.#needs = new Needs({
      needs,
      onLacking: (need, why) => emit("start:lacks", { need, why }),
      onFound: (need, afterMs) => emit("start:found", { need, afterMs }),
    });
  }

  /** Begins to look, for a program that works as far as it can meanwhile. */
  start(): void {
    void this.untilFit().catch((error: unknown) => {
      if (isUnfit(error)) this.#onUnfit(error.message);
    });
  }

  /**
   * Begins to look. Resolves when Redis has answered, whether or not it takes writes by then.
   * @throws UnfitRedisError when it may not hold jobs; an AbortError after `stop`.
   */
  async untilFit(): Promise<void> {
    this.#needs.start();
    this.#watch.start();
    await this.#watch.untilFit(this.#leaving.signal);
  }

  stop(): void {
    this.#leaving.abort();
    this.#needs.stop();
    this.#watch.stop();
  }

  /** How Redis is, as of a second ago at most. Never rejects. */
  async health(): Promise<Health> {
    return this.#watch.health();
  }

  /** Why a job that is accepted now could be lost, as of the last look. */
  get unsafe(): string | undefined {
    return this.#watch.unsafe?.message;
  }

  /** As `RedisWatch.changes`. */
  changes(...place: Parameters<RedisWatch["changes"]>): ReturnType<RedisWatch["changes"]> {
    return this.#watch.changes(...place);
  }
}
