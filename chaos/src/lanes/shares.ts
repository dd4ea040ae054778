/** From calls to the shares of the lanes. Pure. */
import { parseJobId } from "@sluice/job";
import type { SeenCall } from "../evidence.ts";

export interface Window {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

export interface Shares {
  /** Of the tokens used: what each lane got. */
  readonly bulk: number;
  readonly standard: number;
  /** Of the quota: what both used. */
  readonly used: number;
}

/** What bulk is owed whatever the load, and the most it may take beside a full lane above it. */
export const BULK_SHARE = 0.05;
export const BULK_MOST = 0.08;
export const USED_LEAST = 0.95;

/** Seconds of its share that bulk may have saved up before the window, or may still have to get. */
const CREDIT_CAP_S = 5;

/**
 * By the calls that started in the window, at what they were settled.
 * @param calls of one pool, by job.
 */
export function sharesOf(
  calls: ReadonlyMap<string, readonly SeenCall[]>,
  pool: string,
  window: Window,
  tokensPerMinute: number,
): Shares {
  const tokens = { bulk: 0, standard: 0 };
  for (const [id, all] of calls) {
    const job = parseJobId(id);
    if (job?.pool !== pool || (job.lane !== "bulk" && job.lane !== "standard")) continue;
    for (const { startedAt, settledTokens } of all) {
      if (startedAt >= window.from && startedAt < window.to) tokens[job.lane] += settledTokens;
    }
  }
  const used = tokens.bulk + tokens.standard;
  const quota = (tokensPerMinute / 60_000) * (window.to - window.from);
  return {
    bulk: rounded(tokens.bulk / Math.max(1, used)),
    standard: rounded(tokens.standard / Math.max(1, used)),
    used: rounded(used / quota),
  };
}

/** Least fraction that bulk must have had: its share, less one largest cost and what the credit holds. */
export function leastBulk(windowMs: number, jobTokens: number, tokensPerMinute: number): number {
  const quota = (tokensPerMinute / 60_000) * windowMs;
  const credit = BULK_SHARE * CREDIT_CAP_S * (tokensPerMinute / 60);
  return Math.max(0, BULK_SHARE - (jobTokens + credit) / quota);
}

/** The one whose bulk is farther from its share. */
export function worse(one: Shares, other: Shares): Shares {
  return Math.abs(one.bulk - BULK_SHARE) >= Math.abs(other.bulk - BULK_SHARE) ? one : other;
}

function rounded(fraction: number): number {
  return Math.round(fraction * 1_000) / 1_000;
}
