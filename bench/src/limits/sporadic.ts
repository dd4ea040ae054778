/** Servers that refuse or fail a few percent of all calls at any rate, with quick and slow models. */
import { defaultLanes } from "@sluice/limits";
import { simulate } from "./simulation.ts";

export interface SporadicSetting {
  readonly kind: "throttles" | "failures";
  /** Fraction of the calls. */
  readonly fraction: number;
  readonly latencyMs: number;
  /** Calls per minute that the quota has room for; nine tenths of them are offered. */
  readonly callsPerMinute: number;
}

export interface SporadicRow extends SporadicSetting {
  /** Of what was offered. */
  readonly answered: number;
  readonly leastCeiling: number;
  readonly meanCeiling: number;
}

export const sporadicSettings: readonly SporadicSetting[] = (["throttles", "failures"] as const).flatMap(
  (kind) =>
    [10, 600, 3_000].flatMap((callsPerMinute) =>
      [0.01, 0.03, 0.1].flatMap((fraction) =>
        [300, 8_000, 30_000].map((latencyMs) => ({ kind, fraction, latencyMs, callsPerMinute })),
      ),
    ),
);

const OFFERED = 0.9;
const TOKENS = 2_000;

/** Over all seeds. */
export async function measureSporadic(
  setting: SporadicSetting,
  seeds: readonly number[] = [1, 2, 3],
): Promise<SporadicRow> {
  const { kind, fraction, latencyMs, callsPerMinute } = setting;
  let [answered, arrived, leastCeiling, meanCeiling] = [0, 0, 1, 0];
  for (const seed of seeds) {
    // oxlint-disable-next-line no-await-in-loop -- each run is pure computation
    const { lanes, ceiling } = await simulate({
      server: "bucket-60",
      stranger: 0,
      ...(kind === "throttles" ? { sporadicThrottles: fraction } : { sporadicFailures: fraction }),
      limits: {
        quota: { tokensPerMinute: callsPerMinute * TOKENS, requestsPerMinute: 100_000 },
        lanes: defaultLanes,
      },
      loads: [{ lane: "standard", input: 1_500, arrivals: (OFFERED * callsPerMinute) / 60 }],
      processes: 3,
      slots: 4_000,
      maxTokens: 500,
      output: 250,
      latencyMs,
      warmUpMs: 60_000,
      measuredMs: callsPerMinute < 100 ? 3_600_000 : 180_000,
      seed,
    });
    answered += lanes.reduce((sum, lane) => sum + lane.calls, 0);
    arrived += lanes.reduce((sum, lane) => sum + lane.arrived, 0);
    leastCeiling = Math.min(leastCeiling, ceiling.least);
    meanCeiling += ceiling.mean / seeds.length;
  }
  return { ...setting, answered: answered / arrived, leastCeiling, meanCeiling };
}

/** Five jobs larger than anything the server takes, beside small ones. */
export interface LargeRow {
  readonly large: boolean;
  /** Whether the drain keeps the large ones apart. */
  readonly apart: boolean;
  readonly arrived: number;
  readonly answered: number;
  readonly leastCeiling: number;
}

/** The file says 600,000 tokens a minute, the server gives 60,000, and a call of 63,000 never fits. */
export async function measureLarge(large: boolean, apart: boolean): Promise<LargeRow> {
  const { lanes, ceiling } = await simulate({
    server: "bucket-60",
    stranger: 0,
    truth: 0.1,
    limits: { quota: { tokensPerMinute: 600_000, requestsPerMinute: 10_000 }, lanes: defaultLanes },
    loads: [
      {
        lane: "standard",
        input: 200,
        arrivals: 1.25,
        ...(large ? { large: { count: 5, input: 63_000, apart } } : {}),
      },
    ],
    processes: 2,
    slots: 20,
    maxTokens: 100,
    output: 50,
    latencyMs: 1_000,
    warmUpMs: 0,
    measuredMs: 200_000,
    seed: 1,
  });
  const sum = (of: "arrived" | "calls"): number => lanes.reduce((all, lane) => all + lane[of], 0);
  // The large ones wait from the start and do not count.
  return { large, apart, arrived: sum("arrived"), answered: sum("calls"), leastCeiling: ceiling.least };
}
