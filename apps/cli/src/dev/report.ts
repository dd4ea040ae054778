/** What a run came to, for people and as JSON. */
import type { SimulatedCall } from "./evidence.ts";
import { percentile, quotaUtilisation, waitsOf } from "./figures.ts";
import { percent } from "./view.ts";

export interface Report {
  readonly jobs: number;
  readonly completed: number;
  readonly filtered: number;
  readonly dead: number;
  /** Accepted jobs that are in no end state although nothing waits any more. Must be 0. */
  readonly lost: number;
  readonly throttled: number;
  readonly calls: number;
  /** As `figures.ts` defines it; `null` when nothing can be said. */
  readonly quotaUtilisation: number | null;
  readonly durationMs: number;
  readonly lanes: Readonly<
    Record<string, { readonly jobs: number; readonly waitMsP50: number; readonly waitMsP99: number }>
  >;
  /** Where the system still answers; left out when it ends with the run. */
  readonly urls?: { readonly api: string; readonly board: string };
}

export interface RunResult {
  /** Lanes, and how many jobs each got. */
  readonly lanes: ReadonlyMap<string, number>;
  /** Jobs by the state the API tells. */
  readonly states: Readonly<Record<string, number>>;
  readonly calls: readonly SimulatedCall[];
  readonly tokensPerMinute: number;
  readonly durationMs: number;
  /** Given when the system stays. */
  readonly urls?: Report["urls"];
}

export function makeReport({ lanes, states, calls, tokensPerMinute, durationMs, urls }: RunResult): Report {
  const jobs = [...lanes.values()].reduce((sum, count) => sum + count, 0);
  const { completed = 0, filtered = 0, dead = 0 } = states;
  const used = quotaUtilisation(calls, tokensPerMinute);
  return {
    jobs,
    completed,
    filtered,
    dead,
    lost: jobs - completed - filtered - dead,
    throttled: calls.filter(({ outcome }) => outcome === "throttled").length,
    calls: calls.length,
    quotaUtilisation: used ?? null,
    durationMs: Math.round(durationMs),
    lanes: Object.fromEntries(
      [...lanes].map(([lane, count]) => {
        const waits = waitsOf(calls, lane);
        return [lane, { jobs: count, waitMsP50: percentile(waits, 0.5), waitMsP99: percentile(waits, 0.99) }];
      }),
    ),
    ...(urls === undefined ? {} : { urls }),
  };
}

/** The report in a few lines. */
export function renderReport(report: Report, tokensPerMinute: number): string {
  const { jobs, completed, filtered, dead, lost, throttled, calls } = report;
  const lanes = Object.entries(report.lanes).map(
    ([lane, { jobs: count, waitMsP50, waitMsP99 }]) =>
      `  ${lane.padEnd(10)}${String(count).padStart(6)} jobs   ` +
      `waited ${seconds(waitMsP50)} (median), ${seconds(waitMsP99)} (99th percentile)`,
  );
  const quota = `${tokensPerMinute.toLocaleString("en")} tokens a minute`;
  return [
    `${jobs} jobs in ${seconds(report.durationMs)}: ${completed} completed, ${filtered} filtered, ${dead} dead, ${lost} lost`,
    `${calls} calls, ${throttled} throttled`,
    report.quotaUtilisation === null
      ? `How much of ${quota} was used is not measured: the run was too short`
      : `${percent(report.quotaUtilisation)} of ${quota} used while jobs waited`,
    ...lanes,
  ].join("\n");
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
