/** What the suites share: a limiter in virtual time, and short ways to use it. */
import {
  defaultLanes,
  type AdmitRequest,
  type Inspection,
  type OperableLimiter,
  type PoolLimits,
  type Settlement,
} from "../src/index.ts";

export type Create = (now: () => number) => OperableLimiter;

export const START = 1_800_000_000_000;
export const POOL = "model";

/** 985 tokens/s and 9.85 requests/s after the pace. */
export const limits: PoolLimits = {
  quota: { tokensPerMinute: 60_000, requestsPerMinute: 600 },
  lanes: defaultLanes,
};

type Caller = Pick<AdmitRequest, "process" | "operation">;

/** A pool under test. */
export class Subject {
  readonly limiter: OperableLimiter;
  readonly clock: { ms: number };

  private constructor(limiter: OperableLimiter, clock: { ms: number }) {
    this.limiter = limiter;
    this.clock = clock;
  }

  static async create(create: Create, declared: PoolLimits = limits): Promise<Subject> {
    const clock = { ms: START };
    const limiter = create(() => clock.ms);
    await limiter.configure(POOL, declared);
    return new Subject(limiter, clock);
  }

  async ask(id: string, lane = "standard", tokens = 1, ttlMs = 180_000, caller: Caller = {}) {
    const cost = { tokens, requests: 1, "tokens-per-day": tokens };
    // A reservation is named after its job: `<job>/<try>`.
    const [job = id] = id.split("/");
    return this.limiter.admit({ pool: POOL, lane, id, job, cost, ttlMs, ...caller });
  }

  async settle(id: string, outcome: Settlement["outcome"] = "ok", rest: Partial<Settlement> = {}) {
    return this.limiter.settle({ pool: POOL, id, outcome, actual: {}, ...rest });
  }

  /** One call, admitted and settled; true when it was granted. */
  async call(
    id: string,
    outcome: Settlement["outcome"],
    rest: Partial<Settlement> = {},
    lane = "standard",
  ): Promise<boolean> {
    const admission = await this.ask(id, lane);
    if (admission.type !== "granted") return false;
    await this.settle(id, outcome, rest);
    return true;
  }

  /** Calls one after another, half a second apart. */
  async calls(count: number, outcome: Settlement["outcome"], name: string = outcome): Promise<void> {
    for (let i = 0; i < count; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after another is the point
      await this.call(`${name}${i}/1/${POOL}`, outcome);
      this.clock.ms += 200;
    }
  }

  async inspect(): Promise<Inspection> {
    return this.limiter.inspect(POOL);
  }

  async phase(): Promise<string> {
    return (await this.inspect()).breaker.phase;
  }

  /** Rounded: the last bits of a power are nobody's business. */
  async ceiling(dimension: "tokens" | "requests" = "tokens"): Promise<number> {
    const { dimensions } = await this.limiter.inspect(POOL);
    return Number(dimensions[dimension]?.ceiling.toFixed(6));
  }
}
