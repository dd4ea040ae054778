/** The runs whose figures the project promises, and what each is held to. */
import { defaultLanes, type PoolLimits } from "@sluice/limits";
import { serverKinds, type ServerKind } from "./server.ts";
import type { LaneLoad } from "./fleet.ts";
import { simulate, type Figures } from "./simulation.ts";

export interface Row {
  readonly server: ServerKind;
  /** Fraction of the quota a stranger takes in every second spell of five minutes. */
  readonly stranger: number;
  /** Mean input tokens of a bulk job. */
  readonly bulkInput: number;
  /** Whether standard is saturated beside bulk. */
  readonly standard: boolean;
  /** Of what the stranger left. Above 1: the server's bucket was filled while the stranger was away. */
  readonly quotaUsed: number;
  readonly throttlesPerCall: number;
  readonly criticalWaitMsP50: number;
  readonly criticalWaitMsP99: number;
  /** Bulk's part of the tokens used. */
  readonly bulkShare: number;
  /** Admits per answered call, whole fleet. */
  readonly asksPerCall: number;
}

export type Setting = Pick<Row, "server" | "stranger" | "bulkInput" | "standard">;

/** Four windows a server may have, alone and with a stranger. */
export const windowSettings: readonly Setting[] = serverKinds.flatMap((server) =>
  [0, 0.2, 0.5].map((stranger) => ({ server, stranger, bulkInput: 1_500, standard: true })),
);

/** Bulk inputs of up to several seconds of quota, beside saturated lanes and alone. */
export const largeSettings: readonly Setting[] = [1_500, 20_000, 60_000].flatMap((bulkInput) =>
  [true, false].map((standard) => ({ server: "bucket-60" as const, stranger: 0, bulkInput, standard })),
);

export const limits: PoolLimits = {
  quota: { tokensPerMinute: 1_000_000, requestsPerMinute: 1_200 },
  lanes: defaultLanes,
};

/** Of every request. */
export const MAX_TOKENS = 1_024;

const WARM_UP_MS = 300_000;
/** Whole cycles of the stranger's coming and going. */
const MEASURED_MS = 1_200_000;
const SEEDS = [1, 2, 3];

/**
 * One fleet of ten processes: critical at about a fifth of the quota, the other lanes saturated.
 * @param critical critical jobs per second.
 */
export async function simulateSetting(
  setting: Setting,
  seed: number,
  critical: LaneLoad["arrivals"] = 2,
): Promise<Figures> {
  const standard: LaneLoad = { lane: "standard", input: 1_500, arrivals: "saturated" };
  return simulate({
    ...setting,
    limits,
    loads: [
      { lane: "critical", input: 1_500, arrivals: critical },
      ...(setting.standard ? [standard] : []),
      { lane: "bulk", input: setting.bulkInput, arrivals: "saturated" },
    ],
    processes: 10,
    slots: 20,
    maxTokens: MAX_TOKENS,
    output: 250,
    warmUpMs: WARM_UP_MS,
    measuredMs: MEASURED_MS,
    seed,
  });
}

/** The figures of a setting over all seeds. */
export async function measure(setting: Setting): Promise<Row> {
  const runs: Figures[] = [];
  // oxlint-disable-next-line no-await-in-loop -- each run is pure computation
  for (const seed of SEEDS) runs.push(await simulateSetting(setting, seed));
  const lanes = runs.flatMap((run) => run.lanes);
  const sum = (of: (lane: (typeof lanes)[number]) => number): number =>
    lanes.reduce((total, lane) => total + of(lane), 0);
  const calls = sum((lane) => lane.calls);
  const waits = lanes.filter(({ lane }) => lane === "critical").flatMap(({ waitsMs }) => waitsMs);
  const sorted = waits.toSorted((a, b) => a - b);
  return {
    ...setting,
    quotaUsed: runs.reduce((total, run) => total + run.quotaUsed, 0) / runs.length,
    throttlesPerCall: sum((lane) => lane.throttles) / calls,
    criticalWaitMsP50: percentile(sorted, 0.5),
    criticalWaitMsP99: percentile(sorted, 0.99),
    bulkShare: sum((lane) => (lane.lane === "bulk" ? lane.tokens : 0)) / sum((lane) => lane.tokens),
    asksPerCall: sum((lane) => lane.asks) / calls,
  };
}

/** @param sorted ascending. */
export function percentile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
}
