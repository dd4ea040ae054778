/** One lane of the simulated fleet: in every process a line whose head alone asks. */
import type { Limiter } from "@sluice/limits";
import type { LaneGrants, WaitingGrants } from "@sluice/queue";
import type { Timeline } from "./events.ts";
import type { Random } from "./random.ts";
import type { Server } from "./server.ts";
import { POOL, type LaneLoad, type Scenario } from "./fleet.ts";

export interface LaneFigures {
  readonly lane: string;
  /** Jobs that came; with `saturated`: those that asked. Large ones do not count. */
  readonly arrived: number;
  /** Answered calls. */
  readonly calls: number;
  readonly tokens: number;
  readonly asks: number;
  readonly throttles: number;
  readonly failures: number;
  /** The largest reservation of an answered call. */
  readonly largest: number;
  /** The most of its grants that waited for their start in one process. */
  readonly mostAhead: number;
  /** From arrival to the granted start, sorted. */
  readonly waitsMs: readonly number[];
  /** Answered calls by when they were granted; a large one starts seconds later. */
  readonly grants: readonly {
    readonly atMs: number;
    /** Used. */
    readonly tokens: number;
  }[];
}

interface Job {
  readonly id: number;
  readonly large: boolean;
  readonly input: number;
  readonly output: number;
  readonly arrivedAt: number;
  grantedAt: number;
  starts: number;
  throttledInARow: number;
}

interface Line {
  readonly waiting: Job[];
  /** Granted calls whose start has come while no slot was free. */
  readonly due: Job[];
  free: number;
  asking: boolean;
  /** Leaves of those that are granted and have not started. */
  readonly ahead: (() => void)[];
  readonly grants: LaneGrants;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] extends readonly (infer One)[] ? One[] : T[Key] };

export interface World {
  /** Job ids, unique in the run. */
  readonly nextId: () => number;
  readonly timeline: Timeline;
  readonly limiter: Limiter;
  readonly server: Server;
  readonly random: Random;
  /** By process. */
  readonly waiting: readonly WaitingGrants[];
}

const FIRST_BYTE_MS = 500;
const PER_OUTPUT_TOKEN_MS = 15;
const LATENCY_SIGMA = 0.3;
const REFUSAL_MS = 100;
const RETRY = {
  /** Soon: a saturated lane has others to run, so these retries load the limiter more than real ones do. */
  soonMs: 2_000,
  longestMs: 120_000,
  apartAfter: 3,
  apartMs: 30_000,
  apartLongestMs: 3_600_000,
};
const TTL_MS = 180_000;

export class Lane {
  readonly figures: Mutable<LaneFigures>;
  readonly #scenario: Scenario;
  readonly #load: LaneLoad;
  readonly #world: World;
  readonly #lines: Line[];

  constructor(scenario: Scenario, load: LaneLoad, world: World) {
    this.#scenario = scenario;
    this.#load = load;
    this.#world = world;
    this.figures = {
      lane: load.lane,
      arrived: 0,
      calls: 0,
      tokens: 0,
      asks: 0,
      throttles: 0,
      failures: 0,
      largest: 0,
      mostAhead: 0,
      waitsMs: [],
      grants: [],
    };
    this.#lines = world.waiting.map((process, place) => ({
      waiting: [],
      due: [],
      free: scenario.slots,
      asking: false,
      ahead: [],
      grants: process.lane(() => this.#nextOf(place)),
    }));
  }

  open(): void {
    const { count = 0, input = 0 } = this.#load.large ?? {};
    for (let i = 0; i < count; i++) this.#lines[i % this.#lines.length]?.waiting.push(this.#job(input));
    for (const line of this.#lines) this.#next(line);
    this.#arrive();
  }

  #arrive(): void {
    const { timeline, random } = this.#world;
    const { arrivals, untilMs = Infinity } = this.#load;
    if (arrivals === "saturated") return;
    timeline.at(timeline.now() + random.gap(1_000 / arrivals), () => {
      if (timeline.now() > untilMs) return;
      const line = this.#lines[Math.floor(random.next() * this.#lines.length)];
      if (line) {
        line.waiting.push(this.#job());
        this.#next(line);
      }
      this.#arrive();
    });
  }

  #job(large?: number): Job {
    const { random, timeline, nextId } = this.#world;
    const output = Math.min(this.#scenario.maxTokens, random.size(this.#scenario.output));
    if (large === undefined && this.#measured()) this.figures.arrived++;
    return {
      id: nextId(),
      large: large !== undefined,
      input: large ?? random.size(this.#load.input),
      output,
      arrivedAt: timeline.now(),
      grantedAt: 0,
      starts: 0,
      throttledInARow: 0,
    };
  }

  #nextOf(place: number): void {
    const line = this.#lines[place];
    if (line) this.#next(line);
  }

  /** A free slot first, then a job, then the question; grants that wait for their start use no slot. */
  #next(line: Line): void {
    const { grantsAhead = Infinity } = this.#scenario;
    if (line.asking || line.free === 0 || line.ahead.length >= grantsAhead || !line.grants.hasRoom) return;
    const { arrivals, untilMs = Infinity } = this.#load;
    const { timeline } = this.#world;
    const more = arrivals === "saturated" && timeline.now() <= untilMs;
    const job = line.waiting.shift() ?? (more ? this.#job() : undefined);
    if (!job) return;
    line.asking = true;
    timeline.at(timeline.now(), async () => this.#ask(line, job));
  }

  async #ask(line: Line, job: Job): Promise<void> {
    const { timeline, limiter, random } = this.#world;
    if (this.#measured()) this.figures.asks++;
    const admission = await limiter.admit({
      pool: POOL,
      lane: this.#load.lane,
      id: this.#reservation(job),
      job: `${this.#load.lane}-${job.id}`,
      cost: { tokens: this.#reserved(job), requests: 1 },
      ttlMs: TTL_MS,
    });
    if (admission.type !== "granted") {
      const again = timeline.now() + admission.afterMs + random.next() * 2;
      timeline.at(again, async () => this.#ask(line, job));
      return;
    }
    job.grantedAt = timeline.now();
    line.ahead.push(line.grants.add());
    if (this.#measured()) this.figures.mostAhead = Math.max(this.figures.mostAhead, line.ahead.length);
    timeline.at(timeline.now() + admission.waitMs, () => {
      line.due.push(job);
      this.#startDue(line);
    });
    line.asking = false;
    this.#next(line);
  }

  #startDue(line: Line): void {
    while (line.free > 0) {
      const job = line.due.shift();
      if (!job) break;
      line.free--;
      line.ahead.pop()?.();
      this.#start(line, job);
    }
    this.#next(line);
  }

  #start(line: Line, job: Job): void {
    const { timeline, server, random } = this.#world;
    const { sporadicThrottles = 0, sporadicFailures = 0, latencyMs } = this.#scenario;
    const now = timeline.now();
    if (this.#measured() && job.starts === 0) this.figures.waitsMs.push(now - job.arrivedAt);
    if (random.next() < sporadicFailures) {
      timeline.at(now + REFUSAL_MS, async () => this.#failed(line, job));
    } else if (random.next() < sporadicThrottles || !server.start(job.id, this.#reserved(job), now)) {
      timeline.at(now + REFUSAL_MS, async () => this.#throttled(line, job));
    } else {
      const tookMs =
        latencyMs === undefined
          ? FIRST_BYTE_MS + PER_OUTPUT_TOKEN_MS * job.output
          : random.size(latencyMs, LATENCY_SIGMA);
      timeline.at(now + tookMs, async () => this.#end(line, job));
    }
  }

  async #end(line: Line, job: Job): Promise<void> {
    const tokens = job.input + job.output;
    this.#world.server.end(job.id, tokens, this.#world.timeline.now());
    if (this.#measured() && !job.large) {
      this.figures.calls++;
      this.figures.tokens += tokens;
      this.figures.largest = Math.max(this.figures.largest, this.#reserved(job));
      this.figures.grants.push({ atMs: job.grantedAt, tokens });
    }
    const id = this.#reservation(job);
    await this.#world.limiter.settle({ pool: POOL, id, outcome: "ok", actual: { tokens, requests: 1 } });
    this.#release(line);
  }

  async #throttled(line: Line, job: Job): Promise<void> {
    if (this.#measured()) this.figures.throttles++;
    await this.#world.limiter.settle({
      pool: POOL,
      id: this.#reservation(job),
      outcome: "throttled",
      throttledDimension: "tokens",
      actual: { tokens: 0, requests: 1 },
    });
    job.throttledInARow++;
    this.#again(line, job);
  }

  async #failed(line: Line, job: Job): Promise<void> {
    if (this.#measured()) this.figures.failures++;
    const id = this.#reservation(job);
    await this.#world.limiter.settle({
      pool: POOL,
      id,
      outcome: "failed",
      actual: { tokens: 0, requests: 0 },
    });
    this.#again(line, job);
  }

  /** Comes back when due, ahead of the line. */
  #again(line: Line, job: Job): void {
    const { timeline, random } = this.#world;
    job.starts++;
    timeline.at(timeline.now() + random.next() * this.#backoffMs(job), () => {
      line.waiting.unshift(job);
      this.#next(line);
    });
    this.#release(line);
  }

  #backoffMs({ large, throttledInARow }: Job): number {
    if (!large) return RETRY.soonMs;
    const apart = throttledInARow - RETRY.apartAfter;
    if (this.#load.large?.apart === true && apart >= 0) {
      return Math.min(RETRY.apartLongestMs, RETRY.apartMs * 2 ** apart);
    }
    return Math.min(RETRY.longestMs, RETRY.soonMs * 2 ** Math.min(20, throttledInARow - 1));
  }

  #release(line: Line): void {
    line.free++;
    this.#startDue(line);
  }

  #reserved(job: Job): number {
    return job.input + this.#scenario.maxTokens;
  }

  #reservation(job: Job): string {
    return `${job.id}/${job.starts}/${POOL}`;
  }

  #measured(): boolean {
    return this.#world.timeline.now() >= this.#scenario.warmUpMs;
  }
}
