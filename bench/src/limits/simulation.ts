/**
 * A fleet against a quota, in virtual time: processes whose lane heads ask the limiter, calls that take their
 * time, a server that throttles. The limiter is the in-memory twin, which decides as the scripts do.
 */
import { createMemoryLimiter } from "@sluice/limits";
import { WaitingGrants } from "@sluice/queue";
import { createTimeline } from "./events.ts";
import { Lane, type LaneFigures } from "./lane.ts";
import { createRandom } from "./random.ts";
import { POOL, type Scenario } from "./fleet.ts";
import { createServer, leftOnAverage } from "./server.ts";

export interface Figures {
  /** Tokens used, as a fraction of what the stranger left of the quota that the server really has. */
  readonly quotaUsed: number;
  /** Refusals for each answered call. */
  readonly throttlesPerCall: number;
  /** The lowest ceiling of tokens, and its average. */
  readonly ceiling: { readonly least: number; readonly mean: number };
  readonly lanes: readonly LaneFigures[];
}

const CEILING_EVERY_MS = 1_000;

/** Runs a scenario; equal seeds give equal figures. */
export async function simulate(scenario: Scenario): Promise<Figures> {
  const timeline = createTimeline(0);
  const limiter = createMemoryLimiter({ now: timeline.now });
  await limiter.configure(POOL, scenario.limits);
  const tokensPerMinute = (scenario.limits.quota.tokensPerMinute ?? 0) * (scenario.truth ?? 1);
  const server = createServer(scenario.server, tokensPerMinute, scenario.stranger);
  let jobs = 0;
  const waiting = Array.from({ length: scenario.processes }, () => new WaitingGrants());
  const simulated = scenario.loads.map((load, index) => {
    const random = createRandom(scenario.seed + index);
    return new Lane(scenario, load, { timeline, limiter, server, nextId: () => jobs++, random, waiting });
  });
  for (const lane of simulated) lane.open();
  const lanes = simulated.map(({ figures }) => figures);
  const until = scenario.warmUpMs + scenario.measuredMs;
  const ceilings: number[] = [];
  const look = async (): Promise<void> => {
    const { dimensions } = await limiter.inspect(POOL);
    ceilings.push(dimensions.tokens?.ceiling ?? 1);
    timeline.at(timeline.now() + CEILING_EVERY_MS, look);
  };
  timeline.at(scenario.warmUpMs, look);
  await timeline.run(until);
  const sum = (of: (lane: LaneFigures) => number): number => lanes.reduce((all, lane) => all + of(lane), 0);
  const quota =
    tokensPerMinute *
    (scenario.measuredMs / 60_000) *
    leftOnAverage(scenario.stranger, scenario.warmUpMs, until);
  return {
    quotaUsed: sum((lane) => lane.tokens) / quota,
    throttlesPerCall:
      sum((lane) => lane.throttles) /
      Math.max(
        1,
        sum((lane) => lane.calls),
      ),
    ceiling: {
      least: Math.min(...ceilings),
      mean: ceilings.reduce((all, one) => all + one, 0) / ceilings.length,
    },
    lanes: lanes.map((lane) => ({ ...lane, waitsMs: lane.waitsMs.toSorted((a, b) => a - b) })),
  };
}
