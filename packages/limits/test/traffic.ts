/** Traffic in virtual time: jobs that arrive, ask, call a model that takes its time, and come again when it fails. */
import type { LimitsChange, OperableLimiter, Settlement } from "../src/index.ts";
import { POOL, START, type Subject } from "./harness.ts";

/** How a call ends that starts now. Times are ms since the start of the traffic. */
export type Model = (call: { readonly job: string; readonly atMs: number; readonly random: number }) => {
  readonly tookMs: number;
  readonly outcome: Settlement["outcome"];
  readonly holdMs?: number;
};

export interface Traffic {
  /** Mean time between arrivals, which are random; `regular`: exactly that. */
  readonly everyMs: number;
  readonly regular?: boolean;
  readonly untilMs: number;
  readonly model: Model;
  /** Jobs that are there from the start, tried again as soon as they fail. */
  readonly poison?: readonly string[];
  readonly seed?: number;
}

export interface Call {
  readonly job: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Settlement["outcome"];
  readonly probe: boolean;
}

export interface Seen {
  readonly arrived: number;
  /** Calls that ended, in that order. */
  readonly calls: readonly Call[];
  readonly opened: readonly number[];
  readonly closed: readonly number[];
}

const LONGEST_SLEEP_MS = 5_000;
const RETRY_MS = 2_000;

/** Runs it; equal seeds give equal traffic. */
export async function run({ limiter, clock }: Subject, traffic: Traffic): Promise<Seen> {
  const random = randomOf(traffic.seed ?? 1);
  const queue: { at: number; act: () => Promise<void> }[] = [];
  const seen = { arrived: 0, calls: [] as Call[], opened: [] as number[], closed: [] as number[] };
  const at = (ms: number, act: () => Promise<void>): void => {
    let place = queue.length;
    while (place > 0 && (queue[place - 1]?.at ?? 0) <= ms) place--;
    queue.splice(place, 0, { at: ms, act });
  };
  const now = (): number => clock.ms - START;
  const hear = (changes: readonly LimitsChange[] = []): void => {
    for (const change of changes) {
      if (change.type !== "breaker") continue;
      if (change.to === "closed") seen.closed.push(now());
      else if (change.to === "open" && change.from === "closed") seen.opened.push(now());
    }
  };
  const ask = async (job: string, tries: number): Promise<void> => {
    const id = `${job}/${tries}`;
    const admission = await limiter.admit({
      pool: POOL,
      lane: "standard",
      id,
      job,
      cost: { tokens: 1 },
      ttlMs: 120_000,
    });
    hear(admission.changes);
    if (admission.type !== "granted") {
      return at(now() + Math.min(LONGEST_SLEEP_MS, admission.afterMs), async () => ask(job, tries));
    }
    return at(now() + admission.waitMs, async () => {
      const startMs = now();
      const { tookMs, outcome, holdMs } = traffic.model({ job, atMs: startMs, random: random() });
      at(startMs + tookMs, async () => {
        const probe = admission.probe === true;
        seen.calls.push({ job, startMs, endMs: now(), outcome, probe });
        const held = holdMs === undefined ? {} : { holdMs };
        hear(await settled(limiter, { pool: POOL, id, outcome, actual: {}, ...held }));
        if (outcome === "ok") return;
        const waitMs = traffic.poison?.includes(job) === true ? 200 : RETRY_MS * (0.5 + random());
        at(now() + waitMs, async () => ask(job, tries + 1));
      });
    });
  };
  const arrive = async (): Promise<void> => {
    const gap = traffic.regular === true ? 1 : -Math.log(1 - random());
    at(now() + gap * traffic.everyMs, arrive);
    await ask(`job${seen.arrived++}`, 1);
  };
  for (const job of traffic.poison ?? []) at(0, async () => ask(job, 1));
  at(0, arrive);
  for (let next = queue.pop(); next && next.at < traffic.untilMs; next = queue.pop()) {
    clock.ms = START + next.at;
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    await next.act();
  }
  return seen;
}

async function settled(
  limiter: OperableLimiter,
  settlement: Settlement,
): Promise<readonly LimitsChange[] | undefined> {
  const reply = await limiter.settle(settlement);
  return reply.type === "settled" ? reply.changes : undefined;
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
