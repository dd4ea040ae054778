/** The live view of a run, as lines of text. Pure, but for the colours the terminal may not have. */
import { styleText } from "node:util";
import type { LaneState } from "./lanes.ts";

export interface LaneView extends LaneState {
  /** That the run is to send. */
  readonly jobs: number;
  /** Of those, what the API had accepted before the lane was looked at. */
  readonly accepted: number;
}

export interface Snapshot {
  readonly elapsedMs: number;
  readonly lanes: readonly LaneView[];
  readonly workers: { readonly running: number; readonly started: number };
  /** As `quotaUtilisation` has it; `used` is `undefined` while nothing can be said. */
  readonly quota: { readonly used: number | undefined; readonly tokensPerMinute: number };
  readonly calls: number;
  readonly throttled: number;
  readonly dead: number;
  /** Left out of the last picture of a system that ends with the run. */
  readonly urls?: { readonly api: string; readonly board: string };
}

const BAR = 24;

/** Of the quota, until calls have ended. */
const NOT_YET = "not measured yet";

export function render(snapshot: Snapshot): string {
  const { elapsedMs, lanes, workers, quota, calls, throttled, dead, urls } = snapshot;
  const perMinute = quota.tokensPerMinute.toLocaleString("en");
  const lines = [
    `${styleText("bold", "Sluice")}  ${seconds(elapsedMs)}  workers ${workers.running}/${workers.started}`,
    "",
    styleText("dim", row("lane", "waiting", "active", "done", "")),
    ...lanes.map(renderLane),
    "",
    `quota   ${bar(quota.used ?? 0)}  ${quota.used === undefined ? NOT_YET : `${percent(quota.used)} of ${perMinute} tokens a minute`}`,
    `calls   ${calls}   throttled ${count(throttled)}   dead letters ${count(dead)}`,
    ...(urls === undefined ? [] : ["", styleText("dim", `board ${urls.board}   api ${urls.api}`)]),
  ];
  return lines.join("\n");
}

/** One line, for where there is no terminal. */
export function renderLine({ elapsedMs, lanes, quota, throttled, dead }: Snapshot): string {
  const perLane = lanes.map((lane) => `${lane.lane} ${doneOf(lane)}/${lane.jobs}`).join(", ");
  return (
    `${seconds(elapsedMs)}  done ${perLane}; quota ${quota.used === undefined ? NOT_YET : `${percent(quota.used)} used`}; ` +
    `${throttled} throttled, ${dead} dead`
  );
}

function renderLane(lane: LaneView): string {
  const done = doneOf(lane);
  const share = lane.jobs === 0 ? 0 : done / lane.jobs;
  return row(lane.lane, String(lane.waiting), String(lane.active), `${done}/${lane.jobs}`, bar(share));
}

/** Ended, or waiting to be moved to the dead letters: accepted, and neither waiting nor in hand. */
function doneOf({ accepted, waiting, active }: LaneView): number {
  return Math.max(0, accepted - waiting - active);
}

function row(lane: string, waiting: string, active: string, done: string, rest: string): string {
  return `${lane.padEnd(10)}${waiting.padStart(9)}${active.padStart(9)}${done.padStart(12)}  ${rest}`;
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  return styleText("cyan", "█".repeat(full)) + styleText("dim", "░".repeat(BAR - full));
}

function count(value: number): string {
  return value === 0 ? "0" : styleText("yellow", String(value));
}

/** A share as all of the demo writes it. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0)} s`.padStart(5);
}
