/** The stray lanes that callers have asked about, as pools of the API: each opened once. */
import { queueName } from "@sluice/job";
import { findStrayLane, type Installation, type OpenPool } from "@sluice/installation";
import type { ApiPool } from "./pool.ts";

/** Lanes that are kept open at a time; far more than a change of a file takes out. */
const MOST_OPEN = 200;

export class Elsewhere {
  readonly #installation: Installation;
  readonly #wire: (pool: OpenPool) => ApiPool;
  readonly #open = new Map<string, ApiPool>();

  constructor(installation: Installation, wire: (pool: OpenPool) => ApiPool) {
    this.#installation = installation;
    this.#wire = wire;
  }

  /** A lane that was found before. */
  known(pool: string, lane: string): ApiPool | undefined {
    return this.#open.get(queueName(pool, lane));
  }

  /** Looks for the lane in every scope of the file but the one where the file has it. Rejects when Redis does not answer. */
  async find(pool: string, lane: string): Promise<ApiPool | undefined> {
    const known = this.known(pool, lane);
    if (known !== undefined || this.#open.size >= MOST_OPEN) return known;
    const stray = await findStrayLane(this.#installation, pool, lane);
    if (stray === undefined) return undefined;
    const found = this.known(pool, lane) ?? this.#wire(stray.open);
    this.#open.set(queueName(pool, lane), found);
    return found;
  }
}
