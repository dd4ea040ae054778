/**
 * A fleet against a quota, in virtual time: processes whose lane heads ask the limiter, calls that take their
 * time, a server that throttles. The limiter is the in-memory twin, which decides as the scripts do.
 */
import { createMemoryLimiter, type Limiter, type PoolLimits } from "@sluice/limits";
import { createTimeline, type Timeline } from "./events.ts";
import { createRandom, type Random } from "./random.ts";
import { createServer, leftOnAverage, type Server, type ServerKind } from "./server.ts";

export interface LaneLoad {
  readonly lane: string;
  /** Mean input tokens. */
  readonly input: number;
  /** Jobs per second in the whole fleet; `saturated`: there is always a next one. */
  readonly arrivals: number | "saturated";
}

export interface Scenario {
  readonly server: ServerKind;
  /** Fraction of the quota somebody else takes in every second spell of five minutes. */
  readonly stranger: number;
  readonly loads: readonly LaneLoad[];
  readonly limits: PoolLimits;
  readonly processes: number;
  /** Calls a process may have in flight, per lane. */
  readonly slots: number;
  readonly maxTokens: number;
  readonly output: number;
  /** Left out of every figure. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
  readonly seed: number;
}

export interface LaneFigures {
  readonly lane: string;
  readonly calls: number;
  readonly tokens: number;
  readonly asks: number;
  readonly throttles: number;
  /** From arrival to the granted start, sorted. */
  readonly waitsMs: readonly number[];
  /** Answered calls by when they were granted; a large one starts seconds later. */
  readonly grants: readonly { readonly atMs: number; readonly tokens: number }[];
}

export interface Figures {
  /** Tokens used, as a fraction of what the stranger left of the quota. */
  readonly quotaUsed: number;
  readonly throttlesPerCall: number;
  readonly lanes: readonly LaneFigures[];
}

interface Job {
  readonly id: number;
  readonly input: number;
  readonly output: number;
  readonly arrivedAt: number;
  grantedAt: number;
  starts: number;
}

interface MutableFigures {
  lane: string;
  calls: number;
  tokens: number;
  asks: number;
  throttles: number;
  waitsMs: number[];
  grants: { atMs: number; tokens: number }[];
}

const POOL = "model";
const FIRST_BYTE_MS = 500;
const PER_OUTPUT_TOKEN_MS = 15;
const REFUSAL_MS = 100;
const RETRY_BASE_MS = 2_000;
const TTL_MS = 180_000;

/** Runs a scenario; equal seeds give equal figures. */
export async function simulate(scenario: Scenario): Promise<Figures> {
  const timeline = createTimeline(0);
  const limiter = createMemoryLimiter({ now: timeline.now });
  await limiter.configure(POOL, scenario.limits);
  const tokensPerMinute = scenario.limits.quota.tokensPerMinute ?? 0;
  const server = createServer(scenario.server, tokensPerMinute, scenario.stranger);
  let jobs = 0;
  const figures = scenario.loads.map((load, index) => {
    const lane = new Lane(scenario, load, {
      timeline,
      limiter,
      server,
      nextId: () => jobs++,
      random: createRandom(scenario.seed + index),
    });
    lane.open();
    return lane.figures;
  });
  const until = scenario.warmUpMs + scenario.measuredMs;
  await timeline.run(until);
  const sum = (of: (lane: MutableFigures) => number): number =>
    figures.reduce((all, lane) => all + of(lane), 0);
  const quota =
    tokensPerMinute *
    (scenario.measuredMs / 60_000) *
    leftOnAverage(scenario.stranger, scenario.warmUpMs, until);
  return {
    quotaUsed: sum((lane) => lane.tokens) / quota,
    throttlesPerCall: sum((lane) => lane.throttles) / sum((lane) => lane.calls),
    lanes: figures.map((lane) => ({ ...lane, waitsMs: lane.waitsMs.toSorted((a, b) => a - b) })),
  };
}

interface World {
  /** Job ids, unique in the run. */
  readonly nextId: () => number;
  readonly timeline: Timeline;
  readonly limiter: Limiter;
  readonly server: Server;
  readonly random: Random;
}

/** One lane of the fleet: in every process a line whose head alone asks. */
class Lane {
  readonly figures: MutableFigures;
  readonly #scenario: Scenario;
  readonly #load: LaneLoad;
  readonly #world: World;
  readonly #lines: { waiting: Job[]; free: number; asking: boolean }[];

  constructor(scenario: Scenario, load: LaneLoad, world: World) {
    this.#scenario = scenario;
    this.#load = load;
    this.#world = world;
    this.figures = { lane: load.lane, calls: 0, tokens: 0, asks: 0, throttles: 0, waitsMs: [], grants: [] };
    this.#lines = Array.from({ length: scenario.processes }, () => ({
      waiting: [],
      free: scenario.slots,
      asking: false,
    }));
  }

  open(): void {
    for (const process of this.#lines.keys()) this.#next(process);
    this.#arrive();
  }

  #arrive(): void {
    const { timeline, random } = this.#world;
    const { arrivals } = this.#load;
    if (arrivals === "saturated") return;
    timeline.at(timeline.now() + random.gap(1_000 / arrivals), () => {
      const process = Math.floor(random.next() * this.#lines.length);
      this.#lines[process]?.waiting.push(this.#job());
      this.#next(process);
      this.#arrive();
    });
  }

  #job(): Job {
    const { random, timeline, nextId } = this.#world;
    const output = Math.min(this.#scenario.maxTokens, random.size(this.#scenario.output));
    return {
      id: nextId(),
      input: random.size(this.#load.input),
      output,
      arrivedAt: timeline.now(),
      grantedAt: 0,
      starts: 0,
    };
  }

  /** A free slot first, then a job, then the question. */
  #next(process: number): void {
    const line = this.#lines[process];
    if (!line || line.asking || line.free === 0) return;
    const job = line.waiting.shift() ?? (this.#load.arrivals === "saturated" ? this.#job() : undefined);
    if (!job) return;
    line.asking = true;
    const { timeline } = this.#world;
    timeline.at(timeline.now(), async () => this.#ask(process, job));
  }

  async #ask(process: number, job: Job): Promise<void> {
    const { timeline, limiter, random } = this.#world;
    const line = this.#lines[process];
    if (!line) return;
    if (this.#measured()) this.figures.asks++;
    const admission = await limiter.admit({
      pool: POOL,
      lane: this.#load.lane,
      id: `${job.id}/${job.starts}/${POOL}`,
      job: `${job.id}`,
      cost: { tokens: job.input + this.#scenario.maxTokens, requests: 1 },
      ttlMs: TTL_MS,
    });
    if (admission.type === "granted") {
      line.free--;
      job.grantedAt = timeline.now();
      timeline.at(timeline.now() + admission.waitMs, () => {
        // The intake sleeps until the granted start and only then fetches the next.
        line.asking = false;
        this.#start(process, job);
        this.#next(process);
      });
    } else {
      timeline.at(timeline.now() + admission.afterMs + random.next() * 2, async () =>
        this.#ask(process, job),
      );
    }
  }

  #start(process: number, job: Job): void {
    const { timeline, server } = this.#world;
    const now = timeline.now();
    if (this.#measured() && job.starts === 0) this.figures.waitsMs.push(now - job.arrivedAt);
    const taken = server.start(job.id, job.input + this.#scenario.maxTokens, now);
    const tookMs = taken ? FIRST_BYTE_MS + PER_OUTPUT_TOKEN_MS * job.output : REFUSAL_MS;
    timeline.at(now + tookMs, async () => (taken ? this.#end(process, job) : this.#throttled(process, job)));
  }

  async #end(process: number, job: Job): Promise<void> {
    const tokens = job.input + job.output;
    this.#world.server.end(job.id, tokens, this.#world.timeline.now());
    if (this.#measured()) {
      this.figures.calls++;
      this.figures.tokens += tokens;
      this.figures.grants.push({ atMs: job.grantedAt, tokens });
    }
    const id = `${job.id}/${job.starts}/${POOL}`;
    await this.#world.limiter.settle({ pool: POOL, id, outcome: "ok", actual: { tokens, requests: 1 } });
    this.#release(process);
  }

  async #throttled(process: number, job: Job): Promise<void> {
    const { limiter, timeline, random } = this.#world;
    if (this.#measured()) this.figures.throttles++;
    await limiter.settle({
      pool: POOL,
      id: `${job.id}/${job.starts}/${POOL}`,
      outcome: "throttled",
      throttledDimension: "tokens",
      actual: { tokens: 0, requests: 1 },
    });
    job.starts++;
    timeline.at(timeline.now() + random.next() * RETRY_BASE_MS, () => {
      this.#lines[process]?.waiting.unshift(job);
      this.#next(process);
    });
    this.#release(process);
  }

  #release(process: number): void {
    const line = this.#lines[process];
    if (line) line.free++;
    this.#next(process);
  }

  #measured(): boolean {
    return this.#world.timeline.now() >= this.#scenario.warmUpMs;
  }
}
