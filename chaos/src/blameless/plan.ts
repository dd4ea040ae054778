/** From a seed to arms: which fault meets how many jobs, asked for how, on how many workers, and when. Pure. */
import type { PoolsFile } from "../pools-file.ts";
import type { Shape } from "../orders.ts";
import { seeded } from "../random.ts";
import type { BlamelessFault } from "./faults.ts";

/** `steady`: there is work before the fault and until it is done. `trickling`: one at a time, before, during, after. */
export type Arrival = "steady" | "trickling";

/** Some jobs of one shape in a pool of their own. */
export interface Arm {
  readonly pool: string;
  readonly model: string;
  readonly jobs: number;
  readonly shape: Shape;
  readonly arrival: Arrival;
}

/** One fault on a fleet of one or two workers: its arms meet it at the same time. */
export interface Case {
  readonly fault: BlamelessFault;
  readonly workers: 1 | 2;
  readonly arms: readonly Arm[];
}

export interface Sizes {
  /** Jobs of the arms of a case. */
  readonly sizes: readonly number[];
  readonly fleets: readonly (1 | 2)[];
}

export const LANE = "standard";

const REGION = "us-east-1";

/** Each pool has a model of its own, so that the simulator can fail one and spare the others. */
const MODEL_PREFIX = "us.anthropic.claude-haiku-4-5";

/** The pool's quota: what is asked here is who survives, so 300 jobs are to be through in half a minute. */
export const REQUESTS_PER_MINUTE = 900;

/** A call takes half a second here. Long enough for a busy machine, short enough to see several end in an outage. */
const CALL_TIMEOUT = "10s";

/**
 * Sizes meet both arrivals over the two fleets, and the shapes rotate over the arms, so that each fault meets them all
 * and a pool has one kind of job only, as most have.
 */
export function makeCases(faults: readonly BlamelessFault[], seed: number, { sizes, fleets }: Sizes): Case[] {
  const random = seeded(seed);
  return faults.flatMap((fault) => {
    const turn = Math.floor(random() * fault.shapes.length * 2);
    return fleets
      .filter((workers) => fault.workers !== "one" || workers === 2)
      .map((workers, fleet) => ({
        fault,
        workers,
        arms: sizes.map((jobs, size) => {
          const pool = `${fault.name}-${jobs}`;
          return {
            pool,
            model: `${MODEL_PREFIX}-${workers}w-${pool}`,
            jobs,
            shape: rotated(fault.shapes, turn + fleet * sizes.length + size),
            arrival: rotated(["steady", "trickling"] as const, turn + fleet + size),
          };
        }),
      }));
  });
}

/** Pools of the cases that share an installation. */
export function poolsFile(cases: readonly Case[]): PoolsFile {
  const arms = cases.flatMap(({ fault, arms: own }) => own.map((arm) => ({ fault, arm })));
  const scopeOf = ({ fault, arm }: (typeof arms)[number]): string => (fault.ownScope ? arm.pool : "main");
  return {
    scopes: Object.fromEntries(["main", ...arms.map(scopeOf)].map((scope) => [scope, { region: REGION }])),
    pools: Object.fromEntries(arms.map((each) => [each.arm.pool, poolOf(scopeOf(each), each.arm.model)])),
  };
}

/** The simulator's: far more than anybody asks for. */
export const MODELS = {
  [`${MODEL_PREFIX}-*`]: {
    tokensPerMinute: 1e9,
    requestsPerMinute: null,
    burndown: 1,
    latency: { timeToFirstTokenMs: 200, tokensPerSecond: 100, sigma: 0.2 },
    answer: { medianTokens: 20 },
  },
};

function poolOf(scope: string, id: string) {
  return {
    scope,
    model: id,
    lanes: [LANE],
    burndown: 1,
    slots: 24,
    quota: { tokensPerMinute: 1_000_000, requestsPerMinute: REQUESTS_PER_MINUTE },
    callTimeout: CALL_TIMEOUT,
    streamSilence: CALL_TIMEOUT,
    deadline: "10m",
  };
}

function rotated<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("Expected something to choose from, got nothing");
  return item;
}
