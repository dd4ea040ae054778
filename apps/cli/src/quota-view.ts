/** A pool's limits as text. Pure. */
import type { Inspection, Operation, Quota, QuotaEntry, QuotaOverride } from "@sluice/limits";
import type { StrayLane } from "./deployment.ts";
import { printable } from "./terminal.ts";

/** Quotas as people type them. */
export const QUOTAS: Readonly<Record<string, keyof Quota>> = {
  "requests-per-minute": "requestsPerMinute",
  "tokens-per-minute": "tokensPerMinute",
  "input-tokens-per-minute": "inputTokensPerMinute",
  "output-tokens-per-minute": "outputTokensPerMinute",
  "tokens-per-day": "tokensPerDay",
};

export interface QuotaView extends Inspection {
  /** Whether this pools file has it. */
  readonly inFile: boolean;
  /** Which workers cannot call it, and why. */
  readonly workers: string | undefined;
  /** Quotas that are not those of the pools file. */
  readonly overrides: readonly QuotaOverride[];
  /** Who has made the quotas what they are; `undefined` when the pools file has. */
  readonly setBy: QuotaEntry | undefined;
  /** What people did by hand, newest first. */
  readonly operations: readonly Operation[];
  readonly strayLanes: readonly StrayLane[];
}

export function quotaView(view: QuotaView): string {
  const { pool, version, dimensions, breaker, day, reservations, takesCalls, shutMs } = view;
  const shut = takesCalls ? "" : `, takes no calls for ${Math.ceil(shutMs / 1_000)} s`;
  const rows = Object.entries(dimensions).map(
    ([name, { level, perMinute, ceiling }]) =>
      `  ${name.padEnd(14)} ${number(perMinute)} a minute in use` +
      `   level ${number(level)}   ceiling ${(ceiling * 100).toFixed(0)} %`,
  );
  const parked = day.parkedUntilMs === 0 ? "" : `, parked until ${new Date(day.parkedUntilMs).toISOString()}`;
  return [
    `${pool}: breaker ${breaker.phase}${shut}, ${reservations} calls in flight, limits version ${version}`,
    ...(view.inFile ? [] : ["  not in this pools file: as workers with another one have declared it"]),
    ...(view.workers === undefined ? [] : [`  ${view.workers}`]),
    ...rows,
    ...(day.quota === undefined ? [] : [`  tokens-per-day ${day.used} of ${day.quota} used${parked}`]),
    ...laneRows(view),
    ...strayRows(view.strayLanes),
    ...overrideRows(view),
    ...operationRows(view),
  ].join("\n");
}

/** One quota that is not the file's. */
export function overrideLine({ quota, inForce, declared }: QuotaOverride): string {
  const typed = Object.keys(QUOTAS).find((name) => QUOTAS[name] === quota) ?? quota;
  return `${typed} ${amount(inForce)}, the pools file says ${amount(declared)}`;
}

/** What each lane gets, whatever the others ask for. */
function laneRows({ lanes }: QuotaView): string[] {
  return lanes.map(({ name, bound: { leastShare, leastPerMinute, mostShare } }, place) => {
    const least = Object.entries(leastPerMinute).map(
      ([dimension, perMinute]) => `${number(perMinute)} ${dimension.replace("-", " ")}`,
    );
    const first = place === 0 ? "goes first" : "what the lanes above leave";
    const floor =
      leastShare === 0 ? "" : `, at least ${percent(leastShare)}: ${least.join(" and ")} a minute`;
    const most = mostShare === undefined ? "" : `; at most ${percent(mostShare)} while they have a backlog`;
    return `  lane ${name.padEnd(9)} ${first}${floor}${most}`;
  });
}

/** Lanes that no worker serves, or no file names. */
export function strayRows(lanes: readonly StrayLane[]): string[] {
  return lanes.map(({ scope, lane, jobs, inFile, unserved }) => {
    const where = inFile ? "" : ` in scope ${printable(scope)}, not in this pools file`;
    const why = unserved === undefined ? "" : `. ${unserved}`;
    return `  lane ${printable(lane)}${where}: ${jobs} ${jobs === 1 ? "job has" : "jobs have"} not ended${why}`;
  });
}

function overrideRows({ overrides, setBy }: QuotaView): string[] {
  if (overrides.length === 0) return [];
  const who =
    setBy === undefined
      ? "Not as in the pools file: no worker has started with it yet, or with another one"
      : `Set by ${printable(setBy.by)} at ${new Date(setBy.atMs).toISOString()}; \`sluice quota reset\` takes it back`;
  return [`  ${who}`, ...overrides.map((override) => `    ${overrideLine(override)}`)];
}

const OPERATIONS_SHOWN = 3;

function operationRows({ operations }: QuotaView): string[] {
  return operations.slice(0, OPERATIONS_SHOWN).map(({ atMs, by, from, action, phase }) => {
    const ended =
      phase === "done" ? "" : phase === "failed" ? ", which failed" : ", and how it ended is not known";
    const whence = by === from ? "" : ` (${from})`;
    return `  by hand: ${printable(action)}, by ${printable(by)}${printable(whence)} at ${new Date(atMs).toISOString()}${ended}`;
  });
}

function amount(value: number | null): string {
  return value === null ? "none" : number(value);
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
