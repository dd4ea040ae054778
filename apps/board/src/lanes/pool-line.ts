/** A pool in one line, for the title of its lanes: its breaker, and what is left of its quota. Pure. */
import type { PoolNow } from "../pages/pools.ts";
import type { Served } from "@sluice/results";
import { quotaOverrides, type Inspection, type Operation, type Quota } from "@sluice/limits";

const DIMENSIONS = ["tokens", "requests", "input-tokens", "output-tokens"] as const;

const QUOTA_OF = {
  tokens: "tokensPerMinute",
  requests: "requestsPerMinute",
  "input-tokens": "inputTokensPerMinute",
  "output-tokens": "outputTokensPerMinute",
} as const satisfies Record<(typeof DIMENSIONS)[number], keyof Quota>;

/** A pool as it is now. */
export type PoolState = Inspection & {
  /** Which of its workers cannot call it, and why. */
  readonly identity?: string;
  /** What was done to it by hand last. */
  readonly operation?: Operation;
};

/** What is seen of a pool. */
export interface PoolSeen {
  /** `undefined` where no worker has started it yet. */
  readonly state: PoolState | undefined;
  /** Which lanes the workers of its scope serve. */
  readonly served: Served;
}

/** How long what was done by hand is told, milliseconds. */
const TOLD_MS = 24 * 3_600_000;

/** @param declared as the pools file has it; left out for a pool that it does not have. */
export function poolLine(pool: PoolState, declared?: Quota): string {
  const quotas = DIMENSIONS.flatMap((name) => {
    const dimension = pool.dimensions[name];
    if (dimension === undefined) return [];
    const { level, capacity, perMinute, ceiling } = dimension;
    const quota = pool.limits.quota[QUOTA_OF[name]];
    const part = quota === undefined ? "" : `, ${percent(perMinute / quota)} of the quota`;
    const held = ceiling < 0.995 ? ` (throttles hold it at ${percent(ceiling)} of its rate)` : "";
    const saved = capacity > 0 ? percent(Math.max(0, level) / capacity) : "0 %";
    return [
      `${Math.round(perMinute).toLocaleString("en")} ${name.replace("-", " ")}/min${part}${held}, ${saved} saved up`,
    ];
  });
  const calls = `${pool.reservations} ${pool.reservations === 1 ? "call" : "calls"} under way`;
  const identity = pool.identity === undefined ? [] : [pool.identity];
  return [
    ...identity,
    breakerLine(pool),
    ...operationLine(pool),
    ...holdLine(pool),
    ...dayLine(pool),
    ...quotas,
    ...(declared === undefined ? [] : overrideLine(pool.limits.quota, declared)),
    calls,
  ].join(" · ");
}

interface PoolKnown {
  readonly state: PoolState | undefined;
  readonly problem: string | undefined;
  readonly unserved: string | undefined;
}

/**
 * A pool in one line, as far as it is known.
 * @param unserved why nobody takes its jobs, in words.
 */
export function poolNow(name: string, { state, problem, unserved }: PoolKnown, declared?: Quota): PoolNow {
  if (state === undefined) {
    const nobody = unserved ?? "No worker has started this pool yet";
    return { name, takesCalls: false, line: problem === undefined ? nobody : "Redis does not answer" };
  }
  const old = problem === undefined ? "" : " (old: Redis does not answer)";
  return { name, takesCalls: state.takesCalls, line: `${poolLine(state, declared)}${old}` };
}

/** How long the pool takes no calls, milliseconds; 0 while it does. */
export function closedForMs({ takesCalls, shutMs }: Inspection): number {
  // An operator ends an isolation, a probe under way a half-open phase: there is hardly a time to name.
  return takesCalls ? 0 : Math.max(shutMs, 1_000);
}

function breakerLine({ atMs, breaker }: Inspection): string {
  switch (breaker.phase) {
    case "closed":
      return breaker.suspects === 0
        ? "Breaker closed"
        : `Breaker closed, but access was denied (${breaker.suspects} in a row)`;
    case "suspected":
      return `Breaker suspects that access is denied, ${breaker.suspects} times in a row: one call finds out`;
    case "half-open":
      return `Breaker half-open: ${breaker.probes.length === 1 ? "one call probes" : `${breaker.probes.length} calls probe`}`;
    case "open":
      return `Breaker open${breaker.byHand ? " by hand" : ""}: next probe in ${seconds(breaker.probeDueAtMs - atMs)}`;
    case "isolated":
      return breaker.byHand
        ? "Breaker isolated by hand: no call is made until it is closed"
        : "Breaker isolated: access is denied. Mend it, then close it";
  }
}

function operationLine({ atMs, operation }: PoolState): string[] {
  if (operation === undefined || atMs - operation.atMs > TOLD_MS) return [];
  const { action, by, phase } = operation;
  const at = `${new Date(operation.atMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return [`By hand${phase === "failed" ? ", and failed" : ""}: ${action}, by ${by} at ${at}`];
}

function holdLine({ atMs, breaker }: Inspection): string[] {
  if (breaker.heldUntilMs <= atMs) return [];
  return [`Held at the server's wish for ${seconds(breaker.heldUntilMs - atMs)}`];
}

function dayLine({ atMs, day }: Inspection): string[] {
  if (day.parkedUntilMs <= atMs) return [];
  return [`Daily tokens used up: parked for ${seconds(day.parkedUntilMs - atMs)}`];
}

const QUOTA_NAMES: Readonly<Record<keyof Quota, string>> = {
  requestsPerMinute: "requests/min",
  tokensPerMinute: "tokens/min",
  inputTokensPerMinute: "input tokens/min",
  outputTokensPerMinute: "output tokens/min",
  tokensPerDay: "tokens/day",
};

/** Quotas that somebody has set by hand, or that no worker has read from the file yet. */
function overrideLine(inForce: Quota, declared: Quota): string[] {
  return quotaOverrides(inForce, declared).map(
    ({ quota, ...values }) =>
      `Quota not as in the file: ${amount(values.inForce)} ${QUOTA_NAMES[quota]} instead of ${amount(values.declared)}`,
  );
}

function amount(value: number | null): string {
  return value === null ? "no limit" : value.toLocaleString("en");
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1_000))} s`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
