/**
 * A lane on the board. Only to be looked at: a failed job here is about to become a dead letter, and is replayed as one.
 * Whatever Redis does, the board stays up and says what it knows.
 */
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import type { JobCounts, JobStatus } from "@bull-board/api/typings/app";
import type { Quota } from "@sluice/limits";
import type { Queue } from "bullmq";
import { Kept, PATIENCE_MS, withPatience } from "../kept.ts";
import { redactData } from "../redact.ts";
import { Refused } from "../refusal.ts";
import { closedForMs, poolLine, type PoolState } from "./pool-line.ts";

export interface LaneAdapterOptions {
  readonly queue: Queue;
  /** The pool's quota and breaker, shared by its lanes. */
  readonly pool: Kept<PoolState>;
  /** The pool's quota as the pools file has it. */
  readonly declared: Quota;
  /** Whether the connection to Redis stands. */
  readonly isConnected: () => boolean;
}

export class LaneAdapter extends BullMQAdapter {
  readonly #pool: Kept<PoolState>;
  readonly #declared: Quota;
  readonly #isConnected: () => boolean;
  readonly #counts: Kept<JobCounts>;

  constructor({ queue, pool, declared, isConnected }: LaneAdapterOptions) {
    super(queue, { readOnlyMode: true, delimiter: "." });
    this.#pool = pool;
    this.#declared = declared;
    this.#isConnected = isConnected;
    this.#counts = new Kept<JobCounts>({
      load: async () => this.#ask(() => super.getJobCounts()),
      maxAgeMs: 0,
      patienceMs: PATIENCE_MS,
      clock: Date.now,
    });
    this.setFormatter("data", redactData);
  }

  override getDescription(): string {
    const since = this.#counts.loadedAt;
    if (this.#counts.problem !== undefined) {
      return `Redis does not answer. ${since === undefined ? "Nothing is known" : `Counts are of ${time(since)}`}`;
    }
    if (this.#pool.value === undefined) return "No worker has started this pool yet";
    const old = this.#pool.problem === undefined ? "" : " (old: Redis does not answer)";
    return `${poolLine(this.#pool.value, this.#declared)}${old}`;
  }

  override async getActiveRateLimitTtl(): Promise<number> {
    const pool = await this.#pool.read();
    return pool === undefined ? 0 : Math.ceil(closedForMs(pool));
  }

  override async getJobCounts(): Promise<JobCounts> {
    return (await this.#counts.read()) ?? NO_COUNTS;
  }

  override async getJobs(
    statuses: JobStatus[],
    start?: number,
    end?: number,
  ): ReturnType<BullMQAdapter["getJobs"]> {
    return this.#orElse(() => super.getJobs(statuses, start, end), []);
  }

  override async isPaused(): Promise<boolean> {
    return this.#orElse(() => super.isPaused(), false);
  }

  override async getGlobalConcurrency(): Promise<number | null> {
    return this.#orElse(async () => super.getGlobalConcurrency(), null);
  }

  override async getJobSchedulersCount(): Promise<number> {
    return this.#orElse(() => super.getJobSchedulersCount(), 0);
  }

  override async getRedisInfo(): Promise<string | null> {
    return this.#orElse(() => super.getRedisInfo(), null);
  }

  override async getJob(id: string): ReturnType<BullMQAdapter["getJob"]> {
    return this.#ask(() => super.getJob(id));
  }

  async #orElse<T>(question: () => Promise<T>, fallback: T): Promise<T> {
    return this.#ask(question).catch(() => fallback);
  }

  /** @throws Refused when Redis does not answer in time; at once when there is no connection. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (!this.#isConnected()) throw new Refused(503, "Redis does not answer");
    return withPatience(question()).catch(() => {
      throw new Refused(503, "Redis does not answer");
    });
  }
}

const NO_COUNTS = {
  active: 0,
  waiting: 0,
  prioritized: 0,
  delayed: 0,
  completed: 0,
  failed: 0,
} as JobCounts;

function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}
