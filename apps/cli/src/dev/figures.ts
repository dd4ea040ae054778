/** The demo's figures, from the simulator's evidence alone. Pure. */
import { parseJobId } from "@sluice/job";
import { jobOf, type SimulatedCall } from "./evidence.ts";

const MINUTE_MS = 60_000;

/** What the limiter lets an idle pool save up: one second of 98.5 % of the quota. */
const BURST_MINUTES = 0.985 / 60;

/**
 * How much of the quota was used while jobs waited for it, a fraction of 1: of what it gave from the first accepted job to
 * the last start of a waiting one (its rate for that time, and the burst that was saved up before), what the calls started
 * by then have settled. The live view, the report and its JSON all show this.
 *
 * It begins with the job, not with its call: how late the first call reaches a busy machine would make the time too short.
 * It ends with the last start by which the quota has paid for all that was let go: the limiter lets urgent and large calls
 * go some seconds ahead, so right after the start more has settled than was given yet, and a figure would be of a time
 * that has not come. While that is so for more than the later half of the time, nothing is said.
 * @param until starts after it are left out: their calls may still be under way. Milliseconds since the epoch.
 * @returns `undefined` while fewer than two jobs have started, or what was let go ahead is not paid for.
 */
export function quotaUtilisation(
  calls: readonly SimulatedCall[],
  tokensPerMinute: number,
  until = Infinity,
): number | undefined {
  const started = [...firstAdmissions(calls)]
    .flatMap(([id, startedAt]) => {
      const acceptedAt = parseJobId(id)?.acceptedAt;
      return acceptedAt === undefined || startedAt > until ? [] : [{ acceptedAt, startedAt }];
    })
    .toSorted((a, b) => b.startedAt - a.startedAt);
  const from = Math.min(...started.map(({ acceptedAt }) => acceptedAt));
  const last = started[0]?.startedAt ?? from;
  if (started.length < 2 || last <= from) return undefined;
  const admitted = calls.filter((call) => call.admitted).toSorted((a, b) => b.startedAt - a.startedAt);
  let settled = admitted.reduce((sum, { settledTokens }) => sum + settledTokens, 0);
  let later = 0;
  for (const { startedAt: to } of started) {
    if (to - from < (last - from) / 2) return undefined;
    for (; (admitted[later]?.startedAt ?? to) > to; later += 1)
      settled -= admitted[later]?.settledTokens ?? 0;
    const given = tokensPerMinute * (BURST_MINUTES + (to - from) / MINUTE_MS);
    // Rounded here: rounded twice, one figure would be two.
    if (settled <= given) return Number((settled / given).toFixed(4));
  }
  return undefined;
}

/**
 * Until when all calls that started have ended, as far as that can be told: the longest answer took so long. Only ended
 * calls have settled anything, so a figure up to now would leave out what is under way; refusals end at once and tell
 * nothing of that. Before the first answer: never.
 */
export function settledUntil(calls: readonly SimulatedCall[], now: number): number {
  const answers = calls.filter(({ outcome }) => outcome === "completed");
  return (
    now -
    Math.max(
      ...answers.map(({ startedAt, endedAt }) => endedAt - startedAt),
      answers.length === 0 ? Infinity : 0,
    )
  );
}

/** How long each job of a lane waited, from acceptance to its first admitted call, in order. Milliseconds. */
export function waitsOf(calls: readonly SimulatedCall[], lane: string): number[] {
  const waits: number[] = [];
  for (const [id, startedAt] of firstAdmissions(calls)) {
    const job = parseJobId(id);
    if (job?.lane === lane) waits.push(Math.max(0, startedAt - job.acceptedAt));
  }
  return waits.toSorted((a, b) => a - b);
}

/** The smallest value that at least `share` of the sorted values do not exceed; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Job id to the start of its first admitted call. */
function firstAdmissions(calls: readonly SimulatedCall[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const call of calls) {
    const id = jobOf(call);
    if (id === undefined || !call.admitted) continue;
    first.set(id, Math.min(call.startedAt, first.get(id) ?? Infinity));
  }
  return first;
}
