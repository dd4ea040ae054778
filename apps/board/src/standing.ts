/** What the board stands on: its Redis and its table, looked at when it starts and from then on. */
import type { DynamoDbStore } from "@sluice/dead-letter";
import { emitter, type Listener } from "@sluice/job";
import { Needs } from "@sluice/process";
import { isUnfit, RedisWatch, type Health, type RedisWatchOptions } from "@sluice/redis";
import { tellRedisNews } from "@sluice/telemetry";

export interface StandingOptions extends Pick<RedisWatchOptions, "redis" | "keySpaces"> {
  readonly deadLetters: Pick<DynamoDbStore, "check">;
  readonly listener?: Listener;
  /** Hears why the process cannot go on with this Redis. */
  readonly onUnfit?: (sentence: string) => void;
}

export class Standing {
  readonly #watch: RedisWatch;
  readonly #needs: Needs;
  readonly #onUnfit: (sentence: string) => void;
  readonly #leaving = new AbortController();

  constructor({ redis, keySpaces, deadLetters, listener, onUnfit = () => {} }: StandingOptions) {
    const emit = emitter(listener === undefined ? [] : [listener]);
    this.#onUnfit = onUnfit;
    this.#watch = new RedisWatch({ redis, keySpaces, onNews: tellRedisNews(emit, onUnfit) });
    this.#needs = new Needs({
      needs: [{ name: "dead letter table", check: async () => deadLetters.check() }],
      onLacking: (need, why) => emit("start:lacks", { need, why }),
      onFound: (need, afterMs) => emit("start:found", { need, afterMs }),
    });
  }

  start(): void {
    this.#needs.start();
    this.#watch.start();
    this.#watch.untilFit(this.#leaving.signal).catch((error: unknown) => {
      if (isUnfit(error)) this.#onUnfit(error.message);
    });
  }

  stop(): void {
    this.#leaving.abort();
    this.#needs.stop();
    this.#watch.stop();
  }

  /** How Redis is. Never rejects. */
  async health(): Promise<Health> {
    return this.#watch.health();
  }
}
