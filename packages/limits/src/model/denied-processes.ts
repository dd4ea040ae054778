/**
 * Processes that are denied what others may call, for a role of their own: no sign of the pool's access. It goes on, so
 * somebody must be told. Twin of `lua/denied-processes.lua`.
 */
import type { LimitsChange, SettleOutcome } from "../limiter.ts";
import type { Parameters } from "../parameters.ts";
import type { Finding } from "./evidence.ts";
import type { DeniedProcess, PoolState, Suspect } from "./state.ts";

type Caller = Pick<Finding, "operation" | "process">;

/** An operation was answered, or a call of it let in: who was denied it meanwhile, in another process, was denied it alone. */
export function contradict(
  parameters: Parameters,
  state: PoolState,
  suspects: readonly Suspect[],
  { operation, process }: Caller,
): void {
  const { deniedProcesses = [], at } = state;
  const same = (one: { operation: string; process: string }): boolean =>
    one.operation === operation && one.process !== process;
  const kept = deniedProcesses.map((one) => (same(one) ? { ...one, at } : one));
  const known = suspects
    .filter((one) => same(one) && one.process !== "")
    .reduce((all, one) => withDenial(all, one, at), kept);
  if (known.length > 0) state.deniedProcesses = known.slice(-parameters.operationsKept);
}

function withDenial(all: DeniedProcess[], { operation, process }: Caller, at: number): DeniedProcess[] {
  const known = all.findIndex((one) => isSame(one, { operation, process }));
  if (known < 0) return [...all, { process, operation, denials: 1, since: at, at, told: false, triedAt: 0 }];
  return all.map((one, place) => (place === known ? { ...one, denials: one.denials + 1 } : one));
}

/** Whether the process is denied what others were answered lately. */
export function isDeniedAlone(
  { breaker: { forgetMs } }: Parameters,
  { deniedProcesses = [], at: now }: PoolState,
  caller: Caller,
): boolean {
  return deniedProcesses.some((one) => isSame(one, caller) && Math.abs(now - one.at) <= forgetMs);
}

/** Who has turned out to be denied what others were answered lately. */
export function deniedAlone(parameters: Parameters, state: PoolState): readonly DeniedProcess[] {
  return (state.deniedProcesses ?? []).filter((one) => one.told && isDeniedAlone(parameters, state, one));
}

/** A process that is known to be denied tries again this often: the quota, and the jobs, are for the others. */
const TRY_EVERY_MS = 10_000;

/** For how long the process shall leave its calls to others, in ms; 0: it may make one. */
export function deniedForMs(parameters: Parameters, state: PoolState, caller: Caller): number {
  if (!isDeniedAlone(parameters, state, caller)) return 0;
  const one = (state.deniedProcesses ?? []).find((each) => isSame(each, caller));
  return one?.told === true ? Math.max(0, Math.min(TRY_EVERY_MS, one.triedAt + TRY_EVERY_MS - state.at)) : 0;
}

/** The process makes a call. */
export function noteTry(state: PoolState, caller: Caller): void {
  if (state.deniedProcesses === undefined) return;
  state.deniedProcesses = state.deniedProcesses.map((one) =>
    isSame(one, caller) ? { ...one, triedAt: state.at } : one,
  );
}

function isSame(one: Caller, other: Caller): boolean {
  return one.operation === other.operation && one.process === other.process;
}

/** What the breaker shall hear: a process that others contradict says nothing about the pool, but as a canary. */
export function heardAs(alone: boolean, { breaker }: PoolState, outcome: SettleOutcome): SettleOutcome {
  const tested = breaker.phase === "suspected" || breaker.phase === "isolated";
  return alone && !tested ? "neutral" : outcome;
}

/** News when a process turns out to be denied what others may call, and when it is answered again; once each. */
export function tellDeniedProcesses(
  parameters: Parameters,
  state: PoolState,
  pool: string,
  finding: Pick<Finding, "operation" | "process" | "outcome">,
  alone: boolean,
): readonly LimitsChange[] {
  const { deniedProcesses = [] } = state;
  if (deniedProcesses.length === 0) return [];
  const changes: LimitsChange[] = [];
  const { operation, process, outcome } = finding;
  const tell = (denied: boolean): void => {
    changes.push({ type: "operation-denied", pool, operation, denied, process });
  };
  const answered = outcome === "ok" || outcome === "throttled";
  const left: DeniedProcess[] = [];
  for (const one of deniedProcesses) {
    if (!isSame(one, finding)) {
      left.push(one);
    } else if (answered) {
      if (one.told) tell(false);
    } else {
      const denials = one.denials + (alone ? 1 : 0);
      const told = one.told || denials >= parameters.breaker.suspects;
      if (told && !one.told) tell(true);
      left.push({ ...one, denials, told, triedAt: told && !one.told ? state.at : one.triedAt });
    }
  }
  if (left.length > 0) state.deniedProcesses = left;
  else delete state.deniedProcesses;
  return changes;
}
