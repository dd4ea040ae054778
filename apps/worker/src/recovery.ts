/** What a worker does about a Redis that has lost something: publishes limits again, and has letters compared. */
import type { Pool } from "@sluice/config";
import { insist } from "@sluice/drain";
import type { Clock, Emit } from "@sluice/job";
import type { KeySpace, RedisChange, RedisNews } from "@sluice/redis";
import { OUTCOME_TTL_MS } from "@sluice/results";
import type { Replays } from "./replays.ts";

export interface RecoveryOptions {
  readonly pools: readonly {
    readonly pool: Pool;
    readonly scope: { readonly keySpace: KeySpace; restore(pool: Pool): Promise<void> };
  }[];
  readonly replays: Pick<Replays, "redisChanged">;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  readonly clock: Clock;
}

/** A change of Redis so long ago is looked back at by a worker that starts: as long as outcomes are kept. Milliseconds. */
const LOOK_BACK_MS = OUTCOME_TTL_MS;

export class Recovery {
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Limits that were lost are published again by every worker, and what the fleet knew of the quota is gone. */
  afterNews(news: RedisNews): void {
    if (news.type === "restarted") this.#compare(news.keySpace, news);
    if (news.type !== "emptied") return;
    const { pools, signal, emit } = this.#options;
    for (const { pool, scope } of pools) {
      if (scope.keySpace !== news.keySpace) continue;
      const asking = { part: "limits", signal, emit };
      void insist(async () => scope.restore(pool), asking).catch(() => undefined);
    }
  }

  /** At the start: Redis may have changed while no worker ran, more than once. */
  lookBack(changes: (space: KeySpace) => readonly RedisChange[]): void {
    for (const space of new Set(this.#options.pools.map(({ scope }) => scope.keySpace))) {
      for (const change of changes(space)) {
        if (this.#options.clock() - change.at < LOOK_BACK_MS) this.#compare(space, change);
      }
    }
  }

  #compare(space: KeySpace, { at, seenAt }: RedisChange): void {
    const pools = this.#options.pools.filter(({ scope }) => scope.keySpace === space);
    this.#options.replays.redisChanged(
      pools.map(({ pool }) => pool.name),
      { at, seenAt },
    );
  }
}
