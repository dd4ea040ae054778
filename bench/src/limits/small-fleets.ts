/** Lanes with one, two, three and ten workers, and jobs of every size: order must not depend on how many ask. */
import { defaultLanes, type PoolLimits } from "@sluice/limits";
import type { LaneFigures } from "./lane.ts";
import { simulate } from "./simulation.ts";

/** Jobs of critical per second as a part of the quota; `saturated`: always a next one; `none`: the lane is empty. */
export type Critical = "none" | "a third" | "saturated";

export interface FleetSetting {
  readonly processes: number;
  /** Mean input tokens of standard and bulk, both saturated. */
  readonly input: number;
  readonly critical: Critical;
  /** Granted calls that may wait for their start beside the gate. Default as in the simulation. */
  readonly grantsAhead?: number;
}

export interface FleetRow extends FleetSetting {
  readonly quotaUsed: number;
  /** Of the tokens used. */
  readonly standardShare: number;
  readonly bulkShare: number;
  /** The most grants of one lane that waited for their start in one process. */
  readonly mostAhead: number;
  /** The largest reservation of any lane. */
  readonly largest: number;
  readonly asksPerCall: number;
  readonly bulk: LaneFigures;
}

export const fleetLimits: PoolLimits = {
  quota: { tokensPerMinute: 600_000, requestsPerMinute: 100_000 },
  lanes: defaultLanes,
};

export const fleetSettings: readonly FleetSetting[] = (["none", "a third", "saturated"] as const).flatMap(
  (critical) =>
    [100, 1_500, 6_000, 60_000].flatMap((input) =>
      [1, 2, 3, 10].map((processes) => ({ processes, input, critical })),
    ),
);

/** So long that the largest jobs come a few hundred times. */
function measuredMs(input: number): number {
  return input >= 60_000 ? 1_800_000 : input >= 1_000 ? 900_000 : 120_000;
}

export async function measureFleet(setting: FleetSetting, seed = 1): Promise<FleetRow> {
  const { input, critical, processes, grantsAhead } = setting;
  const small = input < 1_000;
  const output = small ? 20 : 100;
  const urgent = Math.min(input, 1_500);
  const perSecond = (fleetLimits.quota.tokensPerMinute ?? 0) / 60 / (urgent + output);
  const arrivals = critical === "saturated" ? critical : perSecond * 0.3;
  const { quotaUsed, lanes } = await simulate({
    server: "bucket-60",
    stranger: 0,
    limits: fleetLimits,
    loads: [
      ...(critical === "none" ? [] : [{ lane: "critical", input: urgent, arrivals }]),
      { lane: "standard", input, arrivals: "saturated" },
      { lane: "bulk", input, arrivals: "saturated" },
    ],
    processes,
    slots: 400,
    ...(grantsAhead === undefined ? {} : { grantsAhead }),
    maxTokens: small ? 30 : 200,
    output,
    warmUpMs: 60_000,
    measuredMs: measuredMs(input),
    seed,
  });
  const bulk = lanes.find(({ lane }) => lane === "bulk");
  if (!bulk) throw new Error("The simulation has no figures of bulk");
  const sum = (of: (lane: LaneFigures) => number): number => lanes.reduce((all, lane) => all + of(lane), 0);
  const tokens = sum((lane) => lane.tokens);
  return {
    ...setting,
    quotaUsed,
    standardShare: (lanes.find(({ lane }) => lane === "standard")?.tokens ?? 0) / tokens,
    bulkShare: bulk.tokens / tokens,
    largest: Math.max(...lanes.map(({ largest }) => largest)),
    mostAhead: Math.max(...lanes.map(({ mostAhead }) => mostAhead)),
    asksPerCall: sum((lane) => lane.asks) / sum((lane) => lane.calls),
    bulk,
  };
}
