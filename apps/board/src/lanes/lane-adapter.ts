/**
 * A lane on the board. Only to be looked at: a failed job here is about to become a dead letter, and is replayed as one.
 * Whatever Redis does, the board stays up and says what it knows.
 */
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import type { JobCounts, JobStatus, QueueJob } from "@bull-board/api/typings/app";
import type { Clock } from "@sluice/job";
import type { Quota } from "@sluice/limits";
import { LaneListing } from "@sluice/queue";
import type { connect } from "@sluice/redis";
import { describeUnserved } from "@sluice/results";
import type { Job, Queue } from "bullmq";
import { Kept, PATIENCE_MS, withPatience } from "../kept.ts";
import { Refused } from "../refusal.ts";
import type { Turns } from "../turns.ts";
import { listedLaneJob, openedLaneJob } from "./lane-job.ts";
import { closedForMs, poolNow } from "./pool-line.ts";
import { NOT_IN_FILE, type PoolWatch } from "./pool-watches.ts";

export interface LaneAdapterOptions {
  readonly queue: Queue;
  /** The pool's quota and breaker, shared by its lanes. */
  readonly pool: PoolWatch;
  /** The pool's quota as the pools file has it. */
  readonly declared: Quota;
  readonly redis: ReturnType<typeof connect>;
  readonly clock: Clock;
  /** Of the pages that all lanes of this process read. */
  readonly turns: Turns;
  /** It is in no pools file of this board: jobs were left in it, or workers with another file serve it. Default false. */
  readonly isStray?: boolean;
}

/** Points of the chart, minutes: as many as workers keep. */
const MOST_POINTS = 24 * 60;

export class LaneAdapter extends BullMQAdapter {
  readonly #pool: PoolWatch;
  readonly #declared: Quota;
  readonly #redis: ReturnType<typeof connect>;
  readonly #turns: Turns;
  readonly #isStray: boolean;
  readonly #listing: LaneListing;
  readonly #counts: Kept<JobCounts>;

  constructor({ queue, pool, declared, redis, clock, turns, isStray = false }: LaneAdapterOptions) {
    super(queue, { readOnlyMode: true, delimiter: "." });
    this.#pool = pool;
    this.#declared = declared;
    this.#redis = redis;
    this.#turns = turns;
    this.#isStray = isStray;
    this.#listing = new LaneListing(queue, redis);
    this.#counts = new Kept<JobCounts>({
      load: async () => this.#ask(() => super.getJobCounts()),
      maxAgeMs: 0,
      patienceMs: PATIENCE_MS,
      clock,
    });
  }

  override getDescription(): string {
    const since = this.#counts.loadedAt;
    if (this.#counts.problem !== undefined) {
      return `Redis does not answer. ${since === undefined ? "Nothing is known" : `Counts are of ${time(since)}`}`;
    }
    const { value: seen, problem } = this.#pool;
    const unserved = seen && describeUnserved(seen.served, this.getName());
    const { line } = poolNow(this.getName(), { state: seen?.state, problem, unserved }, this.#declared);
    const parts = [this.#isStray ? NOT_IN_FILE : undefined, unserved, line];
    return [...new Set(parts.filter((part) => part !== undefined))].join(" · ");
  }

  override async getActiveRateLimitTtl(): Promise<number> {
    const state = (await this.#pool.read())?.state;
    return state === undefined ? 0 : Math.ceil(closedForMs(state));
  }

  override async getJobCounts(): Promise<JobCounts> {
    return (await this.#counts.read()) ?? NO_COUNTS;
  }

  /** Bull Board's own reads every job whole, with its request, and as many as somebody asks for. */
  override async getJobs(
    statuses: JobStatus[],
    start = 0,
    end = start + 9,
  ): ReturnType<BullMQAdapter["getJobs"]> {
    const states = LISTED.filter((state) => statuses.includes(state));
    // Not to be made by an id: whoever asks for a job chooses it.
    const what = `page ${this.getName()} ${states.join(" ")} ${start} ${end}`;
    const read = async (): Promise<Job[]> =>
      (await this.#listing.page(states, start, end - start + 1)).map((job) => asJob(listedLaneJob(job)));
    return this.#orElse(() => this.#turns.take(what, read), []);
  }

  override async isPaused(): Promise<boolean> {
    return this.#orElse(() => super.isPaused(), false);
  }

  override async getGlobalConcurrency(): Promise<number | null> {
    return this.#orElse(async () => super.getGlobalConcurrency(), null);
  }

  /** A lane has none: jobs are enqueued by their callers. */
  override async getJobSchedulersCount(): Promise<number> {
    return 0;
  }

  override async getJobSchedulers(): Promise<[]> {
    return [];
  }

  /** Nor parents and children. Without this, the flow view would read the job whole. */
  override async getFlowProducer(): Promise<null> {
    return null;
  }

  /** What happened to a job is in the program's log, by its id. */
  override async getJobLogs(): Promise<string[]> {
    return [];
  }

  override async getMetrics(type: "completed" | "failed"): ReturnType<BullMQAdapter["getMetrics"]> {
    return this.#ask(() => super.getMetrics(type, 0, MOST_POINTS));
  }

  override async getRedisInfo(): Promise<string | null> {
    return this.#orElse(() => super.getRedisInfo(), null);
  }

  override async getJob(id: string): ReturnType<BullMQAdapter["getJob"]> {
    const job = await this.#ask(() =>
      this.#turns.take(`job ${this.getName()} ${id}`, async () => this.#listing.open(id)),
    );
    return job && asJob(openedLaneJob(job));
  }

  async #orElse<T>(question: () => Promise<T>, fallback: T): Promise<T> {
    return this.#ask(question).catch(() => fallback);
  }

  /** @throws Refused when Redis does not answer in time; at once when there is no connection. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (this.#redis.status !== "ready") throw new Refused(503, "Redis does not answer");
    return withPatience(question()).catch((error: unknown) => {
      throw error instanceof Refused ? error : new Refused(503, "Redis does not answer");
    });
  }
}

/** The base class speaks of BullMQ's jobs. What Bull Board asks of them, and of those of any other adapter, is less. */
function asJob(job: QueueJob): Job {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as said
  return job as unknown as Job;
}

const LISTED = [
  "active",
  "waiting",
  "prioritized",
  "completed",
  "failed",
  "delayed",
] as const satisfies readonly JobStatus[];

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
