/** Cancelling a job from anywhere: a flag for whoever holds it, and the way out of its lane if nobody does yet. */
import type { Clock, Outcome } from "@sluice/job";
import { parseJobId, readJobEnvelope } from "@sluice/job";
import { lifeId, type JobView, type ReadingLane } from "./find.ts";
import { holderOf, type PoolsAsked } from "./pools.ts";
import type { LeftCalls } from "./left-calls.ts";

/** `cancelled`: it had not started. `requested`: it runs, and ends as soon as its process hears. `ended`: too late. */
export type Cancelling = "cancelled" | "requested" | "ended";

/** A pool as cancelling needs it. */
export interface CancellingPool {
  readonly lanes: readonly string[];
  readonly outcomes: { put(outcome: Outcome): Promise<boolean> };
  /** `ended`: the job has an outcome, or is in one of the failed sets. */
  readonly cancels: {
    request(id: string, by: string, failedSets: readonly string[]): Promise<"first" | "again" | "ended">;
  };
  /** What calls of its jobs hold whose worker vanished. */
  readonly left: Pick<LeftCalls, "settleAll">;
  /** Where started async calls wait. */
  readonly polls: Pick<ReadingLane, "find"> & { readonly failedSet: string };
  lane(name: string): ReadingLane & {
    readonly failedSet: string;
    /** Takes the job out of its lane, if it has not started. */
    withdraw(id: string): Promise<boolean>;
  };
}

export interface CancelOptions extends PoolsAsked<CancellingPool> {
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  readonly clock: Clock;
}

/** Makes the canceller. It resolves to `undefined` for a job the tenant does not have. Safe to repeat. */
export function createCancel(
  options: CancelOptions,
): (tenant: string, id: string) => Promise<Cancelling | undefined> {
  return async (tenant, id) => {
    const view = await options.find(tenant, id);
    const parts = parseJobId(id);
    if (view === undefined || parts === undefined) return undefined;
    if (view.state !== "waiting" && view.state !== "delayed" && view.state !== "active") return "ended";
    const jobId = lifeId(view);
    const pool = await holderOf(options, parts, jobId);
    if (pool === undefined) return undefined;
    // The flag first: from here on every step of the job sees it, whatever becomes of what follows. It is raised only
    // if the job has neither an outcome nor failed; an answer or a failure that comes after it is not stored.
    const lane = pool.lane(parts.lane);
    const failedSets = [lane.failedSet, pool.polls.failedSet];
    if ((await pool.cancels.request(jobId, tenant, failedSets)) === "ended") return "ended";
    const found = view.state === "active" ? undefined : await lane.find(jobId);
    const job = readJobEnvelope(found?.data);
    if (found === undefined || job === undefined) return "requested";
    // Its end goes on record before it goes: a job without either would be lost.
    await pool.outcomes.put({
      outcome: "cancelled",
      id: jobId,
      tenant,
      acceptedAt: job.acceptedAt,
      endedAt: options.clock(),
      attempts: found.attemptsMade,
    });
    const { fetched = 0, stalls = 0 } = found;
    await pool.left.settleAll({ id: jobId, fetched, stalls });
    return (await lane.withdraw(jobId)) ? "cancelled" : "requested";
  };
}
