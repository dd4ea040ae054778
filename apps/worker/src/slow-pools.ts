/** Tells what keeps pools, lanes and this process from their whole quota: when it begins, and when it is over. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Emit } from "@sluice/job";
import { slowed, type Ceiling, type Inspection, type SettleReply } from "@sluice/limits";
import { Spells } from "@sluice/telemetry";

export interface SlowPoolsOptions {
  readonly scope: string;
  readonly pools: readonly string[];
  readonly inspect: (pool: string) => Promise<Inspection>;
  readonly emit: Emit;
  /** How often the pools are looked at, milliseconds. Default 5,000. */
  readonly everyMs?: number;
  readonly onError: (error: unknown) => void;
}

const LOOK_EVERY_MS = 5_000;

/** Bedrock counts a day of tokens by UTC. */
const DAY_MS = 24 * 3_600_000;

/** Retries at the edge of a budget get one place now and then: it is exhausted until all have for so long. */
const BUDGET_OVER_MS = 30_000;

interface GateAnswer {
  readonly type: string;
  readonly cause?: string;
  readonly afterMs?: number;
}

export class SlowPools {
  readonly #options: SlowPoolsOptions;
  readonly #spells = new Spells();
  readonly #budgets = new Spells({ overMs: BUDGET_OVER_MS });
  /** The least ceiling seen in a spell, by its key. */
  readonly #lowest = new Map<string, number>();
  /** Why a pool has been shut since it took calls last, the latest at the end. */
  readonly #causes = new Map<string, readonly string[]>();
  /** The limiter's day of the last look. */
  readonly #days = new Map<string, number>();
  readonly #stopping = new AbortController();

  constructor(options: SlowPoolsOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#watch();
  }

  stop(): void {
    this.#stopping.abort();
    this.#spells.stop();
    this.#budgets.stop();
  }

  /**
   * How the gate answered for a pool: `local` when Redis did not, and this process stays away from it; `day-rest` when the
   * call is too large for what is left of the day.
   */
  heardAtGate(pool: string, answer: GateAnswer): void {
    const { scope, emit } = this.#options;
    if (answer.cause === "day-rest") {
      this.#spells.note(
        `short ${pool}`,
        () => emit("quota:short", { pool, forMs: answer.afterMs ?? 0 }),
        (lastedMs) => emit("quota:renewed", { pool, lastedMs }),
      );
    }
    if (answer.cause !== "local") {
      this.#spells.over("gate");
      return;
    }
    this.#spells.note(
      "gate",
      () => emit("gate:shut", { scope }),
      (lastedMs) => emit("gate:opened", { scope, lastedMs }),
    );
  }

  /** What a failed call was told of the pool's budget for retries. It comes and goes with each answer at its edge. */
  heardOfRetry(pool: string, { retry }: Pick<SettleReply, "retry">): void {
    if (retry !== "exhausted") return;
    this.#budgets.note(
      `retries ${pool}`,
      () => this.#options.emit("retries:exhausted", { pool }),
      (lastedMs) => this.#options.emit("retries:granted", { pool, lastedMs }),
    );
  }

  async #watch(): Promise<void> {
    const { pools, inspect, everyMs = LOOK_EVERY_MS, onError } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      for (const pool of pools) {
        if (signal.aborted) return;
        await inspect(pool).then((inspection) => this.#seen(pool, inspection), onError);
      }
    }
  }

  #seen(pool: string, inspection: Inspection): void {
    const { emit } = this.#options;
    const { shut, ceilings } = slowed(inspection);
    const day = Math.floor(inspection.atMs / DAY_MS);
    const known = this.#days.get(pool);
    if (known !== undefined && day !== known) this.#spells.over(`short ${pool}`);
    this.#days.set(pool, day);
    if (shut === undefined) {
      this.#spells.over(`shut ${pool}`);
      this.#causes.delete(pool);
    } else {
      const { cause, forMs } = shut;
      const before = this.#causes.get(pool) ?? [];
      this.#causes.set(pool, [...before.filter((each) => each !== cause), cause]);
      this.#spells.note(
        `shut ${pool}`,
        () => {},
        (lastedMs) => emit("pool:reopened", { pool, cause, lastedMs }),
      );
      // Each once: a probe's `Retry-After` may come and go as long as the breaker is open.
      if (!before.includes(cause)) emit("pool:shut", { pool, cause, forMs });
    }
    for (const ceiling of ceilings) this.#seenCeiling(pool, ceiling);
  }

  #seenCeiling(pool: string, { dimension, state, ceiling, perMinute }: Ceiling): void {
    const { emit } = this.#options;
    const key = `ceiling ${pool} ${dimension}`;
    if (state === "whole") this.#spells.over(key);
    // What lies between goes on as it was.
    if (state === "whole" || (state === "between" && !this.#lowest.has(key))) return;
    this.#lowest.set(key, Math.min(ceiling, this.#lowest.get(key) ?? 1));
    this.#spells.note(
      key,
      () => emit("ceiling:cut", { pool, dimension, ceiling, perMinute }),
      (lastedMs) => {
        const lowest = this.#lowest.get(key) ?? ceiling;
        this.#lowest.delete(key);
        emit("ceiling:restored", { pool, dimension, lowest, lastedMs });
      },
    );
  }
}
