/** What the scripts answer, decoded. A reply of another shape is a bug or a foreign script: it throws. */
import type { Snapshot } from "./inspection.ts";
import type { Admission, Closure, LimitsChange, SettleReply } from "./limiter.ts";
import type { PoolLimits } from "./limits.ts";
import type { DayState, PoolState } from "./model/state.ts";
import type { Parameters } from "./parameters.ts";
import { breakerFrom, type StoredBreaker } from "./stored-breaker.ts";

const closures: readonly string[] = [
  "breaker",
  "probing",
  "isolated",
  "day",
  "day-rest",
  "denied",
  "hold",
] satisfies Closure[];

function parts(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? (reply as readonly unknown[]) : [reply];
}

export function isUnconfigured(reply: unknown): boolean {
  return parts(reply)[0] === "unconfigured";
}

export function isUnknownLane(reply: unknown): boolean {
  return parts(reply)[0] === "unknown-lane";
}

/** The limits as an earlier version of this package wrote them, when the script cannot work with what that made of them. */
export function decodeOutdated(reply: unknown): { limits: PoolLimits; version: string } | undefined {
  const [type, limits, version] = parts(reply);
  return type === "outdated" ? { limits: JSON.parse(text(limits)), version: text(version) } : undefined;
}

/** The version of the limits in force, 0 when another change came first; and what the declaration's order is, or ''. */
export function decodeConfigured(reply: unknown): { version: number; order: string } {
  const [version, order] = parts(reply);
  if (typeof version !== "number") throw unexpected("a reply to configure", reply);
  return { version, order: text(order) };
}

/** Limits in a form that only a newer version of Sluice can work with. */
export class NewerFormError extends Error {
  override readonly name = "NewerFormError";
}

/** @throws NewerFormError when only a newer version can work with what is stored. */
export function assertOurs(pool: string, reply: unknown): void {
  const [type, form, known] = parts(reply);
  if (type !== "newer") return;
  throw new NewerFormError(
    `A newer version of Sluice wrote the limits of pool '${pool}' (form ${String(form)}, this program works with ${String(known)})`,
  );
}

export function decodeAdmission(reply: unknown, lane: string): Admission {
  const [type, detail, third, fourth] = parts(reply);
  if (type === "unknown-lane") {
    throw new RangeError(`Expected \`lane\` to be one of ${String(detail)}, got '${lane}'`);
  }
  if (typeof detail !== "number") throw unexpected("an admission", reply);
  switch (type) {
    case "granted":
      return { type, waitMs: detail, ...(third === 1 ? { probe: true } : {}), ...news(fourth) };
    case "wait":
      return { type, afterMs: detail, ...news(third) };
    case "open":
      if (!isClosure(third)) break;
      return { type, afterMs: detail, cause: third, ...news(fourth) };
  }
  throw unexpected("an admission", reply);
}

export function decodeSettle(reply: unknown): SettleReply {
  const [type, retry, changes, probe, shutMs, answeredAgoMs, operationAnsweredAgoMs, largest] = parts(reply);
  if (type === "late") return { type };
  if (type !== "settled" || typeof shutMs !== "number") throw unexpected("a reply to settle", reply);
  const asked = retry === "granted" || retry === "exhausted";
  return {
    type,
    ...(asked ? { retry } : {}),
    ...(isAgo(answeredAgoMs) ? { answeredAgoMs } : {}),
    ...(isAgo(operationAnsweredAgoMs) ? { operationAnsweredAgoMs } : {}),
    ...(typeof largest === "number" && largest > 0 ? { largestPassed: largest } : {}),
    probe: probe === 1,
    shutMs,
    ...news(changes),
  };
}

/** -1: not within memory. */
function isAgo(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

/** The state changes a script made, or published. */
export function decodeNews(reply: unknown): readonly LimitsChange[] {
  if (typeof reply !== "string" || reply === "") return [];
  const changes: LimitsChange[] = JSON.parse(reply);
  return changes;
}

export function decodeSnapshot(pool: string, reply: unknown): Snapshot {
  const [version, limits, parameters, state, day, reservations] = parts(reply);
  if (typeof version !== "number" || typeof reservations !== "number") throw unexpected("a snapshot", reply);
  // Our own scripts wrote these, in the version of this package that reads them.
  const read: {
    limits: PoolLimits;
    parameters: Parameters;
    state: Omit<PoolState, "breaker"> & { breaker: StoredBreaker };
    day: DayState;
  } = {
    limits: JSON.parse(text(limits)),
    parameters: JSON.parse(text(parameters)),
    state: JSON.parse(text(state)),
    day: JSON.parse(text(day)),
  };
  const breaker = breakerFrom(read.state.breaker);
  return { pool, version, reservations, ...read, state: { ...read.state, breaker } };
}

function isClosure(value: unknown): value is Closure {
  return typeof value === "string" && closures.includes(value);
}

function news(reply: unknown): { changes?: readonly LimitsChange[] } {
  const changes = decodeNews(reply);
  return changes.length > 0 ? { changes } : {};
}

function text(value: unknown): string {
  if (typeof value !== "string") throw unexpected("JSON", value);
  return value;
}

function unexpected(what: string, got: unknown): TypeError {
  return new TypeError(`Expected ${what} from the script, got ${JSON.stringify(got)}`);
}
