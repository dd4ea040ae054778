/**
 * One pool of an installation: what its file says of it, and its queues and stores. It is what the drain's functions ask of
 * a pool from which jobs are read, and into which they are replayed.
 */
import { poolLimits, type Pool, type Scope } from "@sluice/config";
import type { Inspection, PoolLimits } from "@sluice/limits";
import { POLLS_LANE, type LaneQueue } from "@sluice/queue";
import type { Lineage, OutcomeStore } from "@sluice/results";
import type { OpenScope } from "./scope.ts";

export class OpenPool {
  /** As the pools file has it. */
  readonly pool: Pool;
  /** As the pools file has it. */
  readonly limits: PoolLimits;
  readonly scope: OpenScope;

  constructor(pool: Pool, file: Scope, scope: OpenScope) {
    this.pool = pool;
    this.scope = scope;
    this.limits = poolLimits(pool, file);
  }

  get name(): string {
    return this.pool.name;
  }

  get lanes(): readonly string[] {
    return this.pool.lanes;
  }

  /** Milliseconds from the time a job may start. */
  get deadlineMs(): number {
    return this.pool.deadlineMs;
  }

  get outcomes(): OutcomeStore {
    return this.scope.outcomes;
  }

  get lineage(): Lineage {
    return this.scope.lineage;
  }

  /** @throws Error when the pools file has no such lane. */
  lane(name: string): LaneQueue {
    if (!this.pool.lanes.includes(name)) throw new Error(`Pool '${this.name}' has no lane '${name}'`);
    return this.scope.lane(this.name, name);
  }

  /** Where started async calls wait for their next poll. */
  get polls(): LaneQueue {
    return this.scope.lane(this.name, POLLS_LANE);
  }

  /** How its limits stand; `undefined` while no worker has declared it. */
  async inspect(): Promise<Inspection | undefined> {
    return this.scope.inspect(this.name);
  }

  /** What keeps workers of the pool from calling, in a line; `undefined` while nothing does. */
  async identity(): Promise<{ readonly line: string; readonly isolated: boolean } | undefined> {
    return this.scope.describeWorkers((await this.inspect())?.deniedProcesses ?? []);
  }
}
